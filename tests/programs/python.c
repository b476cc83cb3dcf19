/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Has Python blocks: asks twice for an expression to be evaluated and logs "answer: ...".
 */
#include "../../supervisor/local/sample/scaffold.h"

static pthread_mutex_t question_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t question_changed = PTHREAD_COND_INITIALIZER;
static int questions_due, finished;

char *PythonIterator(char *result, void **block)
{
    static int asked;
    static char *questions[] = { "2 + 2", "open('/etc/passwd').read()" };
    char *question = NULL;
    char text[200];
    if (asked > 0) {
        snprintf(text, sizeof text, "answer: %s", result);
        say(LOG_INFO, text);
    } else if (strcmp(result, "None") != 0) {
        say(LOG_CRITICAL, "the first result is not None");
    }
    pthread_mutex_lock(&question_mutex);
    while (!finished && asked >= questions_due)
        pthread_cond_wait(&question_changed, &question_mutex);
    if (!finished) {
        *block = &questions[asked];
        question = questions[asked++];
    }
    pthread_mutex_unlock(&question_mutex);
    return question;
}

static void cycle(uint32_t tick)
{
    /* A late cycle skips ticks. */
    int due = tick >= 20 ? 2 : tick >= 10 ? 1 : 0;
    if (due == 0)
        return;
    pthread_mutex_lock(&question_mutex);
    questions_due = due;
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
