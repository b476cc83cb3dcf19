/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Writes where nothing is mapped, inside stopPLC.
 */
#include "fault.h"

static const struct program program = { .on_stop = segfault };
