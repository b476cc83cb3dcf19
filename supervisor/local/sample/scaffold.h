/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A PLC library without an IDE: everything that a program built by Beremiz exports, in one header.
 *
 * A program includes this file once and then defines `program`, the table of its variables and hooks:
 *
 *     #include "scaffold.h"
 *     VARIABLE(COUNTER, int32_t);
 *     static const struct row rows[] = { ROW(COUNTER) };
 *     static void cycle(uint32_t tick) { SET(COUNTER, (int32_t)tick); }
 *     static const struct program program = { ROWS(rows), .cycle = cycle };
 *
 * Compile with: cc -shared -fPIC -O1 -g -o X.so X.c -lpthread -lm
 *
 * Before the #include it may define PERIOD_NS (cycle time), WITHOUT_LOG, WITHOUT_DEBUG (a target built without
 * logging, without debugging), ABI_2018 (signatures of that year's libraries), LOCKSTEP (the cycle waits for a free
 * trace slot); and what libraries since 2025 do: TIME_12 (times of 12 bytes), LOG_RESTARTS (the start empties the log),
 * EMPTY_LIST_BLOCKS_SLOT (a cycle with debugging on and an empty list takes the slot for ever), PAUSE_ENDS_WAIT
 * (switching debugging off ends the wait for a sample with ENODATA).
 *
 * It is stricter than a real library: using the debug functions in an order that a real one forgives by
 * accident ends the process with a message on standard error.
 */
#ifndef PLC_SCAFFOLD_H
#define PLC_SCAFFOLD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef PERIOD_NS
#define PERIOD_NS 1000000ULL
#endif

/* ---- what a program is made of ---- */

/* TIME, DATE, TOD, DT */
#ifdef TIME_12
struct __attribute__((packed)) iec_time { int64_t sec; int32_t nsec; };
#else
struct iec_time { long sec; long nsec; };
#endif
struct iec_string { uint8_t len; char body[126]; };     /* STRING */

/* One line of the debug table; its place in the table is the variable's index. */
struct row { void *value; uint8_t *forced; size_t size; int is_string; };

struct program {
    const struct row *rows;
    size_t row_count;
    void (*cycle)(uint32_t tick);            /* once per period, on the cycle thread */
    int (*on_start)(int argc, char **argv);  /* in startPLC, before the cycle thread exists; not 0: failure */
    void (*on_stop)(void);                   /* in stopPLC, after the cycle thread has ended */
};
static const struct program program;

#define VARIABLE(name, ctype) static struct { ctype value; uint8_t forced; } name
#define ROW(name) { &name.value, &name.forced, sizeof name.value, 0 }
#define STRING_ROW(name) { &name.value, &name.forced, sizeof name.value, 1 }
#define ROWS(table) .rows = table, .row_count = sizeof table / sizeof table[0]
/* Assigns unless the debugger holds the variable at a forced value. */
#define SET(name, ...) do { if (!name.forced) name.value = (__VA_ARGS__); } while (0)

static __attribute__((unused)) struct iec_string iec_string(const char *text)
{
    struct iec_string string = { 0, { 0 } };
    size_t len = strlen(text);
    string.len = (uint8_t)(len > sizeof string.body ? sizeof string.body : len);
    memcpy(string.body, text, string.len);
    return string;
}

/* ---- exported variables ---- */

unsigned int __tick = 0;
unsigned long long common_ticktime__ = PERIOD_NS;
char *PLC_ID = NULL;
#ifndef ABI_2018
struct iec_time __CURRENT_TIME; /* its size is that of every TIME */
#endif

static void violation(const char *what)
{
    fprintf(stderr, "scaffold: the runtime broke the rules: %s\n", what);
    abort();
}

/* ---- log: per level the newest messages that fit into 16 KiB ---- */

enum { LOG_CRITICAL, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_LEVELS };

#ifdef WITHOUT_LOG
static __attribute__((unused)) void say(int level, const char *text) { (void)level; (void)text; }
#else
#define LOG_BYTES 16384u
#define LOG_ENTRIES 512u

struct log_entry { uint64_t begin; uint32_t size, tick, sec, nsec; };
static struct log {
    char bytes[LOG_BYTES];
    struct log_entry entries[LOG_ENTRIES];
    uint64_t written;   /* bytes ever written: the ring holds the last LOG_BYTES of them */
    uint32_t count;     /* messages ever written: the id of the next one */
} logs[LOG_LEVELS];
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

int LogMessage(uint8_t level, char *text, uint32_t size)
{
    struct timespec now;
    if (size >= LOG_BYTES)
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&log_mutex);
    struct log *log = &logs[level];
    log->entries[log->count % LOG_ENTRIES] = (struct log_entry){
        log->written, size, __tick, (uint32_t)now.tv_sec, (uint32_t)now.tv_nsec };
    for (uint32_t i = 0; i < size; i++)
        log->bytes[(log->written + i) % LOG_BYTES] = text[i];
    log->written += size;
    log->count++;
    pthread_mutex_unlock(&log_mutex);
    return 1;
}

uint32_t GetLogCount(uint8_t level)
{
    pthread_mutex_lock(&log_mutex);
    uint32_t count = logs[level].count;
    pthread_mutex_unlock(&log_mutex);
    return count;
}

uint32_t GetLogMessage(uint8_t level, uint32_t id, char *text, uint32_t max,
                       uint32_t *tick, uint32_t *sec, uint32_t *nsec)
{
    uint32_t size = 0;
    pthread_mutex_lock(&log_mutex);
    struct log *log = &logs[level];
    struct log_entry *entry = &log->entries[id % LOG_ENTRIES];
    if (id < log->count && log->count - id <= LOG_ENTRIES && entry->begin + LOG_BYTES >= log->written) {
        size = entry->size;
        *tick = entry->tick;
        *sec = entry->sec;
        *nsec = entry->nsec;
        for (uint32_t i = 0; i < size && i < max; i++)
            text[i] = log->bytes[(entry->begin + i) % LOG_BYTES];
    }
    pthread_mutex_unlock(&log_mutex);
    return size;
}

void ResetLogCount(void)
{
    pthread_mutex_lock(&log_mutex);
    for (int level = 0; level < LOG_LEVELS; level++)
        logs[level].count = 0;
    pthread_mutex_unlock(&log_mutex);
}

#ifdef LOG_RESTARTS
static void restart_log(void)
{
    pthread_mutex_lock(&log_mutex);
    memset(logs, 0, sizeof logs);
    pthread_mutex_unlock(&log_mutex);
}
#endif

static __attribute__((unused)) void say(int level, const char *text)
{
    LogMessage((uint8_t)level, (char *)text, (uint32_t)strlen(text));
}
#endif

/* ---- debug: trace list, forced values, one slot for a sample ---- */

static enum { LOADED, RUNNING, STOPPING, STOPPED } life;

#ifdef WITHOUT_DEBUG
static void publish(void) {}
static void init_debug(void) {}
static void end_debug(void) { life = STOPPING; }
#else
#define TRACE_LIST 1024
#define TRACE_BYTES 4095
#define FORCE_LIST 256

static pthread_mutex_t debug_mutex;    /* held: the cycle does not publish */
static int debug_is_on;
static uint32_t trace_list[65536];
static size_t traced;
#ifdef ABI_2018
/* Libraries before December 2021 had room for all variables and knew no list of forces. */
char debug_buffer[1 << 20];
static uint32_t forces[65536];
#define FORCES forces
#define TRACE_BUFFER debug_buffer
#else
char trace_buffer[TRACE_BYTES + 1];
uint32_t force_list[FORCE_LIST];
#define FORCES force_list
#define TRACE_BUFFER trace_buffer
#endif
static size_t forced;

static pthread_mutex_t slot_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t slot_changed = PTHREAD_COND_INITIALIZER;
static enum { FREE, FILLED, TAKEN, BLOCKED } slot;
static unsigned int slot_tick;
static size_t slot_size;
static unsigned int pauses;     /* how often debugging was switched off */

int suspendDebug(int disable)
{
    if (life != RUNNING)
        violation("suspendDebug while the program does not run");
    if (pthread_mutex_lock(&debug_mutex) != 0)
        violation("suspendDebug while already suspended");
    debug_is_on = !disable;
    if (disable)
        pthread_mutex_unlock(&debug_mutex);
#ifdef PAUSE_ENDS_WAIT
    if (disable) {
        pthread_mutex_lock(&slot_mutex);
        pauses++;
        pthread_cond_broadcast(&slot_changed);
        pthread_mutex_unlock(&slot_mutex);
    }
#endif
    return 0;
}

#ifdef EMPTY_LIST_BLOCKS_SLOT
static int slot_is_blocked(void)
{
    pthread_mutex_lock(&slot_mutex);
    int is_blocked = slot == BLOCKED;
    pthread_mutex_unlock(&slot_mutex);
    return is_blocked;
}
#endif

void resumeDebug(void)
{
    debug_is_on = 1;
    if (pthread_mutex_unlock(&debug_mutex) != 0)
        violation("resumeDebug by a thread that did not suspend");
#ifdef EMPTY_LIST_BLOCKS_SLOT
    /* Real libraries need bad luck; here the cycle is always in time. */
    for (int i = 0; traced == 0 && i < 100 && !slot_is_blocked(); i++)
        usleep(1000);
#endif
}

/* Held by suspendDebug(0), or switched off by suspendDebug(1): the cycle leaves the list alone. */
static void debug_must_be_suspended(void)
{
    if (life != RUNNING)
        violation("a trace list while the program does not run");
    if (pthread_mutex_trylock(&debug_mutex) != 0)
        return;
    if (debug_is_on)
        violation("a trace list without suspendDebug");
    pthread_mutex_unlock(&debug_mutex);
}

static void forget_lists(void)
{
    for (size_t i = 0; i < forced; i++)
        *program.rows[FORCES[i]].forced = 0;
    forced = 0;
    traced = 0;
}

void ResetDebugVariables(void)
{
    debug_must_be_suspended();
    forget_lists();
}

static int register_variable(unsigned int index, void *force, size_t size, size_t trace_max,
                             size_t force_max, int size_matters)
{
    debug_must_be_suspended();
    if (index >= program.row_count)
        return 0;
    if (traced >= trace_max)
        return 1;
    trace_list[traced++] = index;
    if (force) {
        const struct row *row = &program.rows[index];
        if (forced >= force_max)
            return 2;
        if (size_matters && size != row->size)
            return 3;
        memcpy(row->value, force, row->size);
        *row->forced = 1;
        FORCES[forced++] = index;
    }
    return 0;
}

#ifdef ABI_2018
void RegisterDebugVariable(unsigned int index, void *force)
{
    register_variable(index, force, 0, 65536, 65536, 0);
}
#else
int RegisterDebugVariable(unsigned int index, void *force, size_t size)
{
    int error = register_variable(index, force, size, TRACE_LIST, FORCE_LIST, 1);
    if (error)
        forget_lists();
    return error;
}
#endif

static void fill_slot(void)
{
    size_t used = 0;
#ifdef EMPTY_LIST_BLOCKS_SLOT
    if (traced == 0) {
        slot = BLOCKED;     /* full, and nobody is told */
        return;
    }
#endif
    for (size_t i = 0; i < traced; i++) {
        const struct row *row = &program.rows[trace_list[i]];
        size_t size = row->is_string ? 1u + *(uint8_t *)row->value : row->size;
        if (used + size >= sizeof TRACE_BUFFER)
            break;
        memcpy(TRACE_BUFFER + used, row->value, size);
        used += size;
    }
    slot_size = used;
    slot_tick = __tick;
    slot = FILLED;
    pthread_cond_broadcast(&slot_changed);
}

/* The end of each cycle: hands a sample over if somebody listens and has given the last one back. */
static void publish(void)
{
#ifdef LOCKSTEP
    struct timespec patience;
    clock_gettime(CLOCK_REALTIME, &patience);
    patience.tv_sec += 10;
    pthread_mutex_lock(&slot_mutex);
    while (debug_is_on && slot != FREE && life == RUNNING)
        if (pthread_cond_timedwait(&slot_changed, &slot_mutex, &patience) != 0)
            break;
    pthread_mutex_unlock(&slot_mutex);
    pthread_mutex_lock(&debug_mutex);
#else
    if (pthread_mutex_trylock(&debug_mutex) != 0)
        return;
#endif
    pthread_mutex_lock(&slot_mutex);
    if (debug_is_on && slot == FREE)
        fill_slot();
    pthread_mutex_unlock(&slot_mutex);
    pthread_mutex_unlock(&debug_mutex);
}

#ifdef ABI_2018
int GetDebugData(unsigned long *tick, unsigned long *size, void **buffer)
#else
int GetDebugData(unsigned int *tick, unsigned int *size, void **buffer)
#endif
{
    int error = 1;
    pthread_mutex_lock(&slot_mutex);
    unsigned int pauses_before = pauses;
    while (life == RUNNING && slot != FILLED && pauses == pauses_before)
        pthread_cond_wait(&slot_changed, &slot_mutex);
    if (life == RUNNING && slot != FILLED) {
        pthread_mutex_unlock(&slot_mutex);
        return ENODATA;
    }
    if (life == RUNNING || life == STOPPING) {
        *tick = slot_tick;
        *size = slot == FILLED ? slot_size : 0;
        *buffer = TRACE_BUFFER;
        slot = TAKEN;
        error = 0;
        if (life == STOPPING)
            life = STOPPED;  /* the waiting reader is let go once, without data */
    }
    pthread_mutex_unlock(&slot_mutex);
    return error;
}

void FreeDebugData(void)
{
    pthread_mutex_lock(&slot_mutex);
    slot = FREE;
    pthread_cond_broadcast(&slot_changed);
    pthread_mutex_unlock(&slot_mutex);
}

static void init_debug(void)
{
    pthread_mutexattr_t checking;
    pthread_mutexattr_init(&checking);
    pthread_mutexattr_settype(&checking, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&debug_mutex, &checking);
}

static void end_debug(void)
{
    pthread_mutex_lock(&slot_mutex);
    life = STOPPING;
    slot = FREE;
    pthread_cond_broadcast(&slot_changed);
    pthread_mutex_unlock(&slot_mutex);
}
#endif

/* ---- life ---- */

static pthread_t cycle_thread;
static volatile int shutting_down;

static void wake_up(int signal) { (void)signal; }
static void leave_thread(int signal) { (void)signal; pthread_exit(NULL); }
static void leave_process(int signal) { printf("scaffold: signal %d\n", signal); exit(0); }

static void *run_cycles(void *unused)
{
    struct timespec next;
    (void)unused;
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (!shutting_down) {
        if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) != 0)
            continue;
        __tick++;
        if (program.cycle)
            program.cycle(__tick);
        publish();
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int periods = 0;
        do {  /* the next moment in the future; what was missed is counted, as in a real library */
            long long nsec = next.tv_nsec + (long long)(common_ticktime__ % 1000000000ULL);
            next.tv_sec += (time_t)(common_ticktime__ / 1000000000ULL) + nsec / 1000000000LL;
            next.tv_nsec = nsec % 1000000000LL;
            periods++;
        } while (now.tv_sec > next.tv_sec || (now.tv_sec == next.tv_sec && now.tv_nsec > next.tv_nsec));
#ifndef LOCKSTEP
        __tick += (unsigned int)(periods - 1);
#endif
    }
    return NULL;
}

int startPLC(int argc, char **argv)
{
    init_debug();
#ifdef LOG_RESTARTS
    restart_log();
#endif
    shutting_down = 0;
    int error = program.on_start ? program.on_start(argc, argv) : 0;
    if (error)
        return error;
    life = RUNNING;
    signal(SIGUSR1, wake_up);
    signal(SIGUSR2, leave_thread);
    signal(SIGINT, leave_process);
    return pthread_create(&cycle_thread, NULL, run_cycles, NULL);
}

int stopPLC(void)
{
    struct timespec patience;
    if (life != RUNNING)
        violation("stopPLC while the program does not run");
    end_debug();
    shutting_down = 1;
    pthread_kill(cycle_thread, SIGUSR1);
    clock_gettime(CLOCK_REALTIME, &patience);
    patience.tv_sec += 1;
    if (pthread_timedjoin_np(cycle_thread, NULL, &patience) != 0) {
        /* It hangs in the program's own code: the second signal ends the thread there. */
        pthread_kill(cycle_thread, SIGUSR2);
        pthread_join(cycle_thread, NULL);
    }
    if (program.on_stop)
        program.on_stop();
    return 0;
}

#endif
