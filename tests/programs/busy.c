/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * 10 ms, of which the cycle computes for 2 ms of processor time. A thread beside it computes far more, 6 ms of each
 * 14 ms, and another one sleeps; so whoever takes the program's threads for the cycle is wrong by a multiple.
 */
#define PERIOD_NS 10000000ULL
#include "../../supervisor/local/sample/scaffold.h"

VARIABLE(TICK, uint32_t);
static const struct row rows[] = { ROW(TICK) };

static void compute(long us)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000 + (now.tv_nsec - begin.tv_nsec) / 1000 < us);
}

static void cycle(uint32_t tick)
{
    compute(2000);
    SET(TICK, tick);
}

static volatile int ends;

static void *beside(void *unused)
{
    (void)unused;
    while (!ends) {
        compute(6000);
        usleep(8000);
    }
    return NULL;
}

static void *asleep(void *unused)
{
    (void)unused;
    while (!ends)
        usleep(100000);
    return NULL;
}

static pthread_t threads[2];

static int on_start(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    ends = 0;
    return pthread_create(&threads[0], NULL, beside, NULL) || pthread_create(&threads[1], NULL, asleep, NULL);
}

static void on_stop(void)
{
    ends = 1;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}

static const struct program program = { ROWS(rows), .cycle = cycle, .on_start = on_start, .on_stop = on_stop };
