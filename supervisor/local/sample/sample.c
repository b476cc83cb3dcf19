/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The sample program: a pump fills a tank, somebody draws water from it.
 *
 * The cycle time is 10 ms. To look at it with an IDE or `plcctl trace`, these are the variables
 * (the same table as VARIABLES.csv beside this file):
 *
 *   idx  name      type    meaning
 *   0    PUMP      BOOL    the pump runs
 *   1    VALVE     BOOL    somebody draws water
 *   2    LEVEL     REAL    water in the tank, litres; the pump starts below 20 and stops above 80
 *   3    STARTS    DINT    how often the pump has started
 *   4    SINE      LREAL   a sine wave, one period in 10 s
 *   5    RUN_TIME  TIME    time since the start
 *   6    STATE     STRING  what the plant is doing, in words
 *   7    ALARM     BOOL    the tank is nearly empty (force PUMP to FALSE to see it) or full
 */
#define PERIOD_NS 10000000ULL
#include "scaffold.h"
#include <math.h>

VARIABLE(PUMP, uint8_t);
VARIABLE(VALVE, uint8_t);
VARIABLE(LEVEL, float);
VARIABLE(STARTS, int32_t);
VARIABLE(SINE, double);
VARIABLE(RUN_TIME, struct iec_time);
VARIABLE(STATE, struct iec_string);
VARIABLE(ALARM, uint8_t);

static const struct row rows[] = {
    ROW(PUMP), ROW(VALVE), ROW(LEVEL), ROW(STARTS),
    ROW(SINE), ROW(RUN_TIME), STRING_ROW(STATE), ROW(ALARM),
};

#define FILL_PER_CYCLE 0.12f   /* litres: 12 l/s */
#define DRAW_PER_CYCLE 0.07f
#define CYCLES_PER_SECOND 100u

static void control_the_pump(void)
{
    uint8_t ran = PUMP.value;
    if (LEVEL.value < 20.0f)
        SET(PUMP, 1);
    else if (LEVEL.value > 80.0f)
        SET(PUMP, 0);
    if (PUMP.value && !ran) {
        SET(STARTS, STARTS.value + 1);
        say(LOG_INFO, "the pump starts");
    } else if (!PUMP.value && ran) {
        say(LOG_INFO, "the pump stops");
    }
}

static void watch_the_level(void)
{
    uint8_t was = ALARM.value;
    SET(ALARM, LEVEL.value < 5.0f || LEVEL.value > 95.0f);
    if (ALARM.value && !was)
        say(LOG_WARNING, LEVEL.value < 50.0f ? "the tank is nearly empty" : "the tank is nearly full");
}

static void move_the_water(void)
{
    float level = LEVEL.value;
    level += PUMP.value ? FILL_PER_CYCLE : 0.0f;
    level -= VALVE.value ? DRAW_PER_CYCLE : 0.0f;
    SET(LEVEL, level < 0.0f ? 0.0f : level > 100.0f ? 100.0f : level);
}

static void cycle(uint32_t tick)
{
    SET(VALVE, tick / CYCLES_PER_SECOND % 8 < 6);
    control_the_pump();
    move_the_water();
    watch_the_level();
    SET(SINE, sin(2.0 * 3.14159265358979 * (tick % 1000) / 1000.0));
    SET(RUN_TIME, (struct iec_time){ (long)(tick / 100), (long)(tick % 100) * 10000000 });
    SET(STATE, iec_string(PUMP.value ? "filling" : VALVE.value ? "draining" : "idle"));
}

static int on_start(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    LEVEL.value = 40.0f;
    say(LOG_INFO, "the plant is ready");
    return 0;
}

static void on_stop(void) { say(LOG_INFO, "the plant is at rest"); }

static const struct program program = { ROWS(rows), .cycle = cycle, .on_start = on_start, .on_stop = on_stop };
