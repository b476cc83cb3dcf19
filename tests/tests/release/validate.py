# SPDX-License-Identifier: MIT OR Apache-2.0
"""Holds the bill of materials on standard input against the schema, and says what is wrong with it."""
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
