# SPDX-License-Identifier: MIT OR Apache-2.0
# OpenEmbedded has a class of this name; nothing of it is needed to read the recipes.
