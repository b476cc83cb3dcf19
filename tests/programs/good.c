/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Well-behaved: 1 ms, one variable of every IEC type, each a function of the tick, so that every sample can
 * be checked against its own tick. Logs "started", and "another 1000 ticks" each 1000 ticks.
 */
#include "../../supervisor/local/sample/scaffold.h"

VARIABLE(A_BOOL, uint8_t);
VARIABLE(A_SINT, int8_t);
VARIABLE(A_USINT, uint8_t);
VARIABLE(A_BYTE, uint8_t);
VARIABLE(AN_INT, int16_t);
VARIABLE(A_UINT, uint16_t);
VARIABLE(A_WORD, uint16_t);
VARIABLE(A_DINT, int32_t);
VARIABLE(A_UDINT, uint32_t);
VARIABLE(A_DWORD, uint32_t);
VARIABLE(A_REAL, float);
VARIABLE(A_LINT, int64_t);
VARIABLE(A_ULINT, uint64_t);
VARIABLE(A_LWORD, uint64_t);
VARIABLE(A_LREAL, double);
VARIABLE(A_TIME, struct iec_time);
VARIABLE(A_DATE, struct iec_time);
VARIABLE(A_TOD, struct iec_time);
VARIABLE(A_DT, struct iec_time);
VARIABLE(A_STRING, struct iec_string);

/* idx: 0 BOOL, 1 SINT, 2 USINT, 3 BYTE, 4 INT, 5 UINT, 6 WORD, 7 DINT, 8 UDINT, 9 DWORD, 10 REAL, 11 LINT,
 * 12 ULINT, 13 LWORD, 14 LREAL, 15 TIME, 16 DATE, 17 TOD, 18 DT, 19 STRING */
static const struct row rows[] = {
    ROW(A_BOOL), ROW(A_SINT), ROW(A_USINT), ROW(A_BYTE), ROW(AN_INT), ROW(A_UINT), ROW(A_WORD),
    ROW(A_DINT), ROW(A_UDINT), ROW(A_DWORD), ROW(A_REAL), ROW(A_LINT), ROW(A_ULINT), ROW(A_LWORD),
    ROW(A_LREAL), ROW(A_TIME), ROW(A_DATE), ROW(A_TOD), ROW(A_DT), STRING_ROW(A_STRING),
};

static void numbers(uint32_t tick)
{
    SET(A_BOOL, tick & 1);
    SET(A_SINT, (int8_t)tick);
    SET(A_USINT, (uint8_t)tick);
    SET(A_BYTE, (uint8_t)~tick);
    SET(AN_INT, (int16_t)(tick * 3));
    SET(A_UINT, (uint16_t)(tick * 5));
    SET(A_WORD, (uint16_t)~tick);
    SET(A_DINT, -(int32_t)tick);
    SET(A_UDINT, tick);
    SET(A_DWORD, ~tick);
    SET(A_REAL, (float)tick * 0.5f);
    SET(A_LINT, -(int64_t)tick * 1000);
    SET(A_ULINT, (uint64_t)tick * 1000);
    SET(A_LWORD, ~(uint64_t)tick);
    SET(A_LREAL, (double)tick * 0.25);
}

static void cycle(uint32_t tick)
{
    char text[32];
    numbers(tick);
    SET(A_TIME, (struct iec_time){ tick / 1000, (long)(tick % 1000) * 1000000 });
    SET(A_DATE, (struct iec_time){ (long)(tick % 20000) * 86400, 0 });
    SET(A_TOD, (struct iec_time){ tick % 86400, 0 });
    SET(A_DT, (struct iec_time){ tick, tick % 1000 });
    snprintf(text, sizeof text, "tick %u", tick);
    SET(A_STRING, iec_string(text));
    if (tick % 1000 == 0)
        say(LOG_DEBUG, "another 1000 ticks");
}

static int on_start(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    say(LOG_INFO, "started");
    return 0;
}

static const struct program program = { ROWS(rows), .cycle = cycle, .on_start = on_start };
