/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A library without startPLC.
 */
#define startPLC start_under_another_name
#include "../../supervisor/local/sample/scaffold.h"

static const struct program program = { .cycle = NULL };
