# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads a recipe with bitbake's own library, over the few classes and settings beside this file that stand for
OpenEmbedded's, and prints as JSON what is asked for.

    recipe.py RECIPE [--append FILE] [--set NAME=VALUE]... [--package DIR] NAME...

--package tells in "packages" which files below DIR go into which package, by the rules of OpenEmbedded: packages in
the order of PACKAGES, each takes what its FILES name and nobody before it took. What is left over is in package "".
"""
import argparse
import glob
import json
import os
import sys
import types

# The package on PyPI leaves out the server of hashes, which the library names without needing it here.
for absent in ["hashserv", "hashserv.client"]:
    sys.modules[absent] = types.ModuleType(absent)

import bb.data
import bb.fetch2
import bb.parse
import bb.siggen

STUBS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stubs")


def files_below(path):
    """The files that a pattern's match stands for."""
    if os.path.isdir(path) and not os.path.islink(path):
        return [os.path.join(parent, name) for parent, _, names in os.walk(path) for name in names]
    return [path]


def split(data, root):
    """Which files below root go into which package."""
    left = set(files_below(root))
    packages = {}
    for package in data.getVar("PACKAGES").split():
        taken = set()
        for pattern in (data.getVar("FILES:" + package) or "").split():
            for match in glob.glob(root + pattern):
                taken.update(files_below(match))
        packages[package] = sorted("/" + os.path.relpath(file, root) for file in taken & left)
        left -= taken
    packages[""] = sorted("/" + os.path.relpath(file, root) for file in left)
    return packages


def read(recipe, appended, settings):
    """The variables of a recipe."""
    data = bb.data.init()
    layer = os.path.dirname(os.path.dirname(os.path.dirname(recipe)))
    data.setVar("BBPATH", STUBS + ":" + layer)
    data.setVar("__bbclasstype", "recipe")
    data.setVar("BB_SIGNATURE_HANDLER", "noop")
    data = bb.parse.handle(os.path.join("conf", "bitbake.conf"), data, True)
    for setting in settings:
        data.setVar(*setting.split("=", 1))
    name, version = (os.path.basename(recipe)[: -len(".bb")] + "_1.0").split("_")[:2]
    data.setVar("PN", name)
    data.setVar("PV", version)
    data.setVar("FILE", recipe)
    data.setVar("__BBAPPEND", appended or "")
    bb.parse.siggen = bb.siggen.init(data)
    return bb.parse.handle(recipe, data)[""]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--append")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--package")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_intermixed_args()
    data = read(os.path.abspath(arguments.recipe), arguments.append, arguments.set)
    told = {name: data.getVar(name) for name in arguments.names}
    if "SRC_URI" in told:
        # Each as the fetcher understands it, with the checksum that it will insist on.
        fetch = bb.fetch2.Fetch(told["SRC_URI"].split(), data)
        told["fetched"] = [
            {"type": source.type, "name": source.parm.get("name"), "sha256": getattr(source, "sha256_expected", None)}
            for source in (fetch.ud[url] for url in fetch.urls)
        ]
    if arguments.package:
        told["packages"] = split(data, arguments.package)
    json.dump(told, sys.stdout)


main()
