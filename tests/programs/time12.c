/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Times of 12 bytes, as in libraries since December 2025. Logs the texts that it was given as PLC_ID and
 * PLC_SERVICE_NAME, and "one and a half seconds before" when its TIME is equal to its own T#-1s500ms.
 */
#define TIME_12
#include "../../supervisor/local/sample/scaffold.h"

char *PLC_SERVICE_NAME = NULL;

VARIABLE(A_BOOL, uint8_t);
VARIABLE(A_UDINT, uint32_t);
VARIABLE(A_TIME, struct iec_time);
VARIABLE(A_DATE, struct iec_time);
VARIABLE(A_TOD, struct iec_time);
VARIABLE(A_DT, struct iec_time);
VARIABLE(AN_INT, int16_t);

/* idx: 0 BOOL, 1 UDINT, 2 TIME, 3 DATE, 4 TOD, 5 DT, 6 INT */
static const struct row rows[] = {
    ROW(A_BOOL), ROW(A_UDINT), ROW(A_TIME), ROW(A_DATE), ROW(A_TOD), ROW(A_DT), ROW(AN_INT),
};

static void cycle(uint32_t tick)
{
    static int has_said;
    SET(A_BOOL, tick & 1);
    SET(A_UDINT, tick);
    /* A duration below zero has both parts below zero. */
    SET(A_TIME, (struct iec_time){ -(int64_t)(tick / 1000), -(int32_t)(tick % 1000) * 1000000 });
    SET(A_DATE, (struct iec_time){ 1772064000, 0 });            /* D#2026-02-26 */
    SET(A_TOD, (struct iec_time){ 45296, 250000000 });          /* TOD#12:34:56.25 */
    SET(A_DT, (struct iec_time){ 4102444800 + tick, 0 });       /* DT#2100-01-01-00:00:00 and a second each cycle */
    SET(AN_INT, (int16_t)(tick * 3));
    if (A_TIME.forced && A_TIME.value.sec == -1 && A_TIME.value.nsec == -500000000 && !has_said) {
        has_said = 1;
        say(LOG_INFO, "one and a half seconds before");
    }
}

static int on_start(int argc, char **argv)
{
    char text[200];
    (void)argc;
    (void)argv;
    snprintf(text, sizeof text, "I am %s at %s", PLC_ID, PLC_SERVICE_NAME);
    say(LOG_INFO, text);
    return 0;
}

static const struct program program = { ROWS(rows), .cycle = cycle, .on_start = on_start };
