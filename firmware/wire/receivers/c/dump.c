/* dump.c: prints what the receiver makes of bytes, in the words of ../vectors.txt. For tests and
 * for looking.
 *
 *     cc -std=c99 -o dump dump.c && ./dump acknowledge 0 0 < bytes
 *     ./dump listen < bytes
 */
#include "pressel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void put_text(const char *at, size_t length) {
    size_t index;
    putchar('"');
    for (index = 0; index < length; index++) {
        unsigned char byte = (unsigned char)at[index];
        if (0x20 <= byte && byte < 0x7F && byte != '"' && byte != '\\') {
            putchar(byte);
        } else {
            printf("\\x%02x", byte);
        }
    }
    putchar('"');
}

static void put_outcome(const struct pressel_outcome *outcome) {
    printf(" %" PRIu32 " %" PRIu32 " %s ", outcome->sequence, outcome->utterance,
           pressel_trigger_name(outcome->trigger));
    switch (outcome->result) {
    case PRESSEL_TEXT:
        printf("text %u %d", outcome->bytes, outcome->truncated);
        break;
    case PRESSEL_NO_SPEECH:
        printf("nospeech");
        break;
    case PRESSEL_DROPPED:
        printf("dropped %s", pressel_drop_reason_name(outcome->why));
        break;
    case PRESSEL_COMMAND:
        printf("command %u", outcome->command);
        break;
    case PRESSEL_UNKNOWN:
        printf("unknown");
        break;
    default:
        printf("failed %s", pressel_fail_code_name(outcome->why));
        break;
    }
    printf(" %u %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32,
           outcome->confidence, outcome->audio_ms, outcome->capture_ms, outcome->queue_ms,
           outcome->encode_ms, outcome->decode_ms, outcome->link_ms);
}

static void put_counters(const struct pressel_counters *c) {
    printf("counters %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32,
           c->uptime_s, c->utterances, c->texts, c->no_speech, c->dropped, c->failed);
    printf(" %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
           c->overruns, c->lost_samples, c->dropped_blocks, c->link_dropped, c->link_bad_frames,
           c->worker_restarts);
}

static void put_hello(const struct pressel_hello *hello) {
    printf("hello %u %u.%u.%u ", hello->protocol, hello->version[0], hello->version[1],
           hello->version[2]);
    put_text(hello->board.at, hello->board.length);
    printf(" %" PRIu32 " ", hello->boot);
    put_text(hello->model.at, hello->model.length);
    putchar('\n');
}

static void put_message(const struct pressel_message *m) {
    switch (m->kind) {
    case PRESSEL_HELLO:
        put_hello(&m->u.hello);
        break;
    case PRESSEL_STATE:
        printf("state %s %s %d %d %d %u\n", pressel_state_name(m->u.state.state),
               pressel_provider_name(m->u.state.provider), m->u.state.microphone_ok,
               m->u.state.worker_ok, m->u.state.muted, m->u.state.waiting);
        break;
    case PRESSEL_TRANSCRIPT:
        printf("transcript %" PRIu32 " %u %u ", m->u.part.number, m->u.part.part, m->u.part.parts);
        put_text(m->u.part.text.at, m->u.part.text.length);
        putchar('\n');
        break;
    case PRESSEL_PLAIN_OUTCOME:
        printf("plain");
        put_outcome(&m->u.outcome);
        putchar('\n');
        break;
    case PRESSEL_COUNTERS:
        put_counters(&m->u.counters);
        break;
    case PRESSEL_PONG:
        printf("pong %" PRIu32 "\n", m->u.nonce);
        break;
    case PRESSEL_PART:
        printf("part\n");
        break;
    case PRESSEL_DELIVERED:
        printf("delivered\n");
        break;
    case PRESSEL_JOB:
        printf("job %" PRIu32 " %s %u %" PRIu32 "\n", m->u.job.number,
               pressel_job_state_name(m->u.job.state), m->u.job.percent, m->u.job.left_s);
        break;
    case PRESSEL_ALERT:
        printf("alert %s %d\n", pressel_alert_name(m->u.alert.alert), m->u.alert.on);
        break;
    default:
        break;
    }
}

static void put_gap(const struct pressel_gap *gap) {
    printf("gap %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", gap->from.boot, gap->from.next,
           gap->to.boot, gap->to.next);
}

static void put_event(const struct pressel *p, enum pressel_event event) {
    switch (event) {
    case PRESSEL_OUTCOME:
        printf("outcome %" PRIu32, p->listens ? p->mark.boot : p->message.u.outcome.boot);
        put_outcome(&p->message.u.outcome);
        printf(" %d ", p->text_is_whole);
        put_text(p->text, p->text_length);
        printf("%s\n", p->text_is_cut ? " cut" : "");
        break;
    case PRESSEL_GAP:
        put_gap(&p->message.u.gap);
        break;
    case PRESSEL_MESSAGE:
        if (p->message.kind == PRESSEL_GAP_KIND) {
            put_gap(&p->message.u.gap);
        } else {
            put_message(&p->message);
        }
        break;
    case PRESSEL_BAD:
        printf("bad\n");
        break;
    default:
        break;
    }
}

static void put_acknowledgement(struct pressel *p) {
    uint8_t out[PRESSEL_COMMAND_BYTES_MAX];
    size_t count = pressel_acknowledge(p, out), index;
    if (count == 0) {
        return;
    }
    printf("send ");
    for (index = 0; index < count; index++) {
        printf("%02x", out[index]);
    }
    putchar('\n');
}

int main(int count, char **words) {
    static struct pressel pressel;
    int byte;
    if (count == 4 && strcmp(words[1], "acknowledge") == 0) {
        struct pressel_mark mark;
        mark.boot = (uint32_t)strtoul(words[2], NULL, 10);
        mark.next = (uint32_t)strtoul(words[3], NULL, 10);
        pressel_begin(&pressel, mark);
    } else if (count == 2 && strcmp(words[1], "listen") == 0) {
        pressel_listen(&pressel);
    } else {
        fprintf(stderr, "use: %s acknowledge BOOT NEXT | listen, bytes on standard input\n",
                words[0]);
        return 2;
    }
    put_acknowledgement(&pressel);
    while ((byte = getchar()) != EOF) {
        put_event(&pressel, pressel_push(&pressel, (uint8_t)byte));
        put_acknowledgement(&pressel);
    }
    return ferror(stdin) ? 1 : 0;
}
