/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The least that can run a program: what a runtime is measured against. Not a program itself; compile with:
 * cc -O2 -o bare_loader bare_loader.c -ldl -lpthread
 *
 *     bare_loader PROGRAM.so MILLISECONDS PRIORITY VARIABLES
 *
 * Starts the program under SCHED_FIFO if that is permitted, reads its samples in a loop one priority below it, with
 * the first VARIABLES variables traced and number 0 forced to 1, stops it, and prints one JSON object: "scheduling",
 * ticks missed between the first and the last sample, and those two samples.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Before the figures begin: as long as other runtimes get. */
#define WARM_UP_NS 200000000L
#define SAMPLE_BYTES 4096

static int (*start_plc)(int, char **);
static int (*stop_plc)(void);
static int (*suspend_debug)(int);
static void (*resume_debug)(void);
static void (*reset_variables)(void);
static int (*register_variable)(unsigned, void *, size_t);
static int (*get_data)(unsigned *, unsigned *, void **);
static void (*free_data)(void);

struct sample { unsigned tick, size; unsigned char data[SAMPLE_BYTES]; };
static struct sample first, last;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bare_loader: %s: %s\n", what, why);
    exit(1);
}

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found)
        die(name, dlerror());
    return found;
}

static void resolve(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    if (!library)
        die(path, dlerror());
    *(void **)&start_plc = symbol(library, "startPLC");
    *(void **)&stop_plc = symbol(library, "stopPLC");
    *(void **)&suspend_debug = symbol(library, "suspendDebug");
    *(void **)&resume_debug = symbol(library, "resumeDebug");
    *(void **)&reset_variables = symbol(library, "ResetDebugVariables");
    *(void **)&register_variable = symbol(library, "RegisterDebugVariable");
    *(void **)&get_data = symbol(library, "GetDebugData");
    *(void **)&free_data = symbol(library, "FreeDebugData");
}

/* 0, or why not. */
static int become_fifo(int priority)
{
    struct sched_param param = { .sched_priority = priority };
    return pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
}

static void trace(unsigned variables)
{
    uint32_t one = 1;
    if (suspend_debug(0) != 0)
        die("suspendDebug", "refused");
    reset_variables();
    for (unsigned index = 0; index < variables; index++)
        if (register_variable(index, index == 0 ? &one : NULL, index == 0 ? sizeof one : 0) != 0)
            die("RegisterDebugVariable", "refused");
    resume_debug();
}

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Samples read until then. */
static unsigned long read_until(long long end)
{
    unsigned long samples = 0;
    while (now_ns() < end) {
        void *data;
        if (get_data(&last.tick, &last.size, &data) != 0)
            die("GetDebugData", "the program stopped by itself");
        memcpy(last.data, data, last.size < SAMPLE_BYTES ? last.size : SAMPLE_BYTES);
        free_data();
        if (samples++ == 0)
            first = last;
    }
    return samples;
}

static void print_sample(const char *name, const struct sample *sample)
{
    printf(", \"%s\": {\"tick\": %u, \"data\": \"", name, sample->tick);
    for (unsigned i = 0; i < sample->size && i < SAMPLE_BYTES; i++)
        printf("%02x", sample->data[i]);
    printf("\"}");
}

int main(int argc, char **argv)
{
    if (argc != 5)
        die("usage", "bare_loader PROGRAM.so MILLISECONDS PRIORITY VARIABLES");
    long long duration_ns = atoll(argv[2]) * 1000000LL;
    int priority = atoi(argv[3]);
    resolve(argv[1]);
    int denied = become_fifo(priority);
    if (start_plc(0, NULL) != 0)
        die("startPLC", "failed");
    if (!denied)
        denied = become_fifo(priority - 1);
    struct timespec warm_up = { 0, WARM_UP_NS };
    nanosleep(&warm_up, NULL);
    trace((unsigned)atoi(argv[4]));
    unsigned long samples = read_until(now_ns() + duration_ns);
    suspend_debug(1);
    stop_plc();
    printf("{\"scheduling\": \"%s%s\", \"samples\": %lu, \"missed\": %lu", denied ? "other; fifo denied: " : "fifo",
           denied ? strerror(denied) : "", samples, samples ? last.tick - first.tick + 1 - samples : 0);
    print_sample("first", &first);
    print_sample("last", &last);
    printf("}\n");
    return 0;
}
