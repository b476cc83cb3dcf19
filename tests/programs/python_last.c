/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Has Python blocks as programs since February 2025: PythonIterator writes to a third argument whether another block
 * waits. Asks twice and logs "answer: ..."; says so when the third argument cannot be one.
 */
#include "../../supervisor/local/sample/scaffold.h"

static pthread_mutex_t question_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t question_changed = PTHREAD_COND_INITIALIZER;
static int questions_due, finished;

/* A caller that passes two arguments leaves anything in the third: this one must be an int of the caller's own, in a
 * frame above this one, and hold what a caller presets or what was written last. */
static int is_an_argument(int *is_last, void **block, void *frame)
{
    pthread_attr_t attributes;
    void *stack;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &stack, &size);
    pthread_attr_destroy(&attributes);
    uintptr_t at = (uintptr_t)is_last;
    return at > (uintptr_t)frame && at + sizeof(int) <= (uintptr_t)stack + size && at % sizeof(int) == 0
        && (void *)is_last != (void *)block && (*is_last == 0 || *is_last == 1);
}

char *PythonIterator(char *result, void **block, int *is_last)
{
    static int asked;
    static char *questions[] = { "2 + 2", "3 + 3" };
    char *question = NULL;
    char text[200];
    if (!is_an_argument(is_last, block, __builtin_frame_address(0)))
        violation("PythonIterator without its third argument");
    if (asked > 0) {
        snprintf(text, sizeof text, "answer: %s", result);
        say(LOG_INFO, text);
    }
    pthread_mutex_lock(&question_mutex);
    while (!finished && asked >= questions_due)
        pthread_cond_wait(&question_changed, &question_mutex);
    if (!finished) {
        *block = &questions[asked];
        question = questions[asked++];
        *is_last = asked == 2;
    }
    pthread_mutex_unlock(&question_mutex);
    return question;
}

static void cycle(uint32_t tick)
{
    if (tick < 10)
        return;
    pthread_mutex_lock(&question_mutex);
    questions_due = 2;
    pthread_cond_broadcast(&question_changed);
    pthread_mutex_unlock(&question_mutex);
}

static void on_stop(void)
{
    pthread_mutex_lock(&question_mutex);
    finished = 1;
    pthread_cond_broadcast(&question_changed);
    pthread_mutex_unlock(&question_mutex);
}

static const struct program program = { .cycle = cycle, .on_stop = on_stop };
