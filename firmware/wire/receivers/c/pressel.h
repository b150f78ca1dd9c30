/* pressel.h: a receiver for the serial line of a Pressel, in C99 (and C++11), in one file.
 *
 * In: bytes of the UART, one at a time. Out: outcomes with their texts, each once and in order,
 * gaps, all other messages, and the bytes of acknowledgements and commands to send back.
 * No malloc, no stdio, no floating point; all memory is one `struct pressel`, about 2 KiB.
 * The contract is SPEC.md of the link, version 1.
 *
 *     static struct pressel pressel;
 *     uint8_t out[PRESSEL_COMMAND_BYTES_MAX];
 *
 *     pressel_begin(&pressel, saved_mark);        // {0, 0} if nothing was saved
 *     for (;;) {
 *         size_t count = pressel_acknowledge(&pressel, out);
 *         if (count != 0) uart_write(out, count);
 *         enum pressel_event event = pressel_push(&pressel, uart_read());
 *         if (event == PRESSEL_OUTCOME) {
 *             // pressel.message.u.outcome says how it ended, pressel.text is what was said.
 *         }
 *         if (event == PRESSEL_OUTCOME || event == PRESSEL_GAP)
 *             save(pressel.mark);                 // before the next pressel_acknowledge
 *     }
 *
 * Interrupts: call all functions of one `struct pressel` from one place; let the interrupt only
 * fill a ring of bytes. What pointers of a message point to lives until the next pressel_push.
 *
 * Licence: MIT OR Apache-2.0, as the rest of Pressel.
 */
#ifndef PRESSEL_H
#define PRESSEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes between two 0x00 on the line. */
#define PRESSEL_FRAME_BYTES_MAX 254
/* Bytes of a command or an acknowledgement, with its two 0x00. */
#define PRESSEL_COMMAND_BYTES_MAX 17
/* Bytes of text that an appliance sends for one utterance. */
#define PRESSEL_SAID_BYTES_MAX 1536
/* Bytes of it that are kept. A small machine defines less before the #include: a longer text is
 * then cut between two characters, and text_is_cut says so. */
#ifndef PRESSEL_TEXT_BYTES_MAX
#define PRESSEL_TEXT_BYTES_MAX PRESSEL_SAID_BYTES_MAX
#endif
/* `left_s` of a job when nobody knows. */
#define PRESSEL_LEFT_UNKNOWN 0xFFFFFFFFu
/* `confidence` of an outcome when there is none. */
#define PRESSEL_CONFIDENCE_NONE 255

/* What pressel_push has found. */
enum pressel_event {
    PRESSEL_NOTHING = 0, /* go on */
    PRESSEL_OUTCOME,     /* the next outcome, in message.u.outcome, with its text in text */
    PRESSEL_GAP,         /* outcomes that will not come, in message.u.gap */
    PRESSEL_MESSAGE,     /* any other message, in message */
    PRESSEL_BAD          /* a damaged frame was skipped, or a message that is not known here */
};

/* Kinds of messages to the host. */
enum pressel_kind {
    PRESSEL_HELLO = 0,
    PRESSEL_STATE = 1,
    PRESSEL_TRANSCRIPT = 2,
    PRESSEL_PLAIN_OUTCOME = 3,
    PRESSEL_COUNTERS = 4,
    PRESSEL_PONG = 5,
    PRESSEL_PART = 6,
    PRESSEL_DELIVERED = 7,
    PRESSEL_GAP_KIND = 8,
    PRESSEL_JOB = 9,
    PRESSEL_ALERT = 10,
    PRESSEL_KINDS = 11
};

/* Commands to the appliance, for pressel_command. */
enum pressel_command_kind {
    PRESSEL_PING = 0, /* value: a number that comes back */
    PRESSEL_PTT_DOWN = 1,
    PRESSEL_PTT_UP = 2,
    PRESSEL_CANCEL = 3,
    PRESSEL_MUTE = 4, /* value: 1 microphone off, 0 on */
    PRESSEL_GET_STATUS = 5
};

/* Codes of State, of an outcome's trigger, result, reason and code, of Job and of Alert. A newer
 * appliance may send others: treat them as unknown. */
enum pressel_device_state {
    PRESSEL_STARTING = 0,
    PRESSEL_IDLE = 1,
    PRESSEL_RECORDING = 2,
    PRESSEL_RECOGNISING = 3,
    PRESSEL_MUTED = 4,
    PRESSEL_MICROPHONE_LOST = 5,
    PRESSEL_WORKER_DOWN = 6,
    PRESSEL_STOPPING = 7
};
enum pressel_provider { PRESSEL_NO_PROVIDER = 0, PRESSEL_CPU = 1, PRESSEL_CUDA = 2 };
enum pressel_trigger {
    PRESSEL_BY_BUTTON = 0,
    PRESSEL_BY_WAKE_WORD = 1,
    PRESSEL_BY_VOICE = 2,
    PRESSEL_BY_FILE = 3
};
enum pressel_result {
    PRESSEL_TEXT = 0,
    PRESSEL_NO_SPEECH = 1,
    PRESSEL_DROPPED = 2,
    PRESSEL_FAILED = 3,
    PRESSEL_COMMAND = 4,
    PRESSEL_UNKNOWN = 5
};
enum pressel_drop_reason {
    PRESSEL_DROP_BUSY = 0,
    PRESSEL_DROP_CANCELLED = 1,
    PRESSEL_DROP_MUTED = 2,
    PRESSEL_DROP_MICROPHONE_LOST = 3,
    PRESSEL_DROP_SHUTDOWN = 4,
    PRESSEL_DROP_INTERNAL = 5
};
enum pressel_fail_code {
    PRESSEL_FAIL_MODEL_MISSING = 0,
    PRESSEL_FAIL_MODEL_FAULT = 1,
    PRESSEL_FAIL_TIMEOUT = 2,
    PRESSEL_FAIL_WORKER_DIED = 3,
    PRESSEL_FAIL_BAD_AUDIO = 4,
    PRESSEL_FAIL_WORKER_DOWN = 5
};
enum pressel_job_state {
    PRESSEL_JOB_WAITING = 0,
    PRESSEL_JOB_RUNNING = 1,
    PRESSEL_JOB_DONE = 2,
    PRESSEL_JOB_FAILED = 3,
    PRESSEL_JOB_CANCELLED = 4,
    PRESSEL_JOB_QUARANTINED = 5,
    PRESSEL_JOB_PAUSED = 6
};
enum pressel_alert_code {
    PRESSEL_ALERT_SAFE_MODE = 0,
    PRESSEL_ALERT_CPU_FALLBACK = 1,
    PRESSEL_ALERT_JOURNAL_DOWN = 2,
    PRESSEL_ALERT_VAD_FALLBACK = 3,
    PRESSEL_ALERT_WAKE_DOWN = 4
};

/* The stable name of a code, "unknown" for one that is newer than this file. */
#define PRESSEL_NAMES(function, ...)                                                               \
    static inline const char *function(uint8_t code) {                                             \
        static const char *const names[] = {__VA_ARGS__};                                          \
        return code < sizeof names / sizeof names[0] ? names[code] : "unknown";                    \
    }
PRESSEL_NAMES(pressel_state_name, "starting", "idle", "recording", "recognising", "muted",
              "miclost", "workerdown", "stopping")
PRESSEL_NAMES(pressel_provider_name, "none", "cpu", "cuda")
PRESSEL_NAMES(pressel_trigger_name, "ptt", "wake", "voice", "file")
PRESSEL_NAMES(pressel_drop_reason_name, "busy", "cancelled", "muted", "miclost", "shutdown",
              "internal")
PRESSEL_NAMES(pressel_fail_code_name, "modelmissing", "modelfault", "timeout", "workerdied",
              "badaudio", "workerdown")
PRESSEL_NAMES(pressel_job_state_name, "waiting", "running", "done", "failed", "cancelled",
              "quarantined", "paused")
PRESSEL_NAMES(pressel_alert_name, "safemode", "cpufallback", "journaldown", "vadfallback",
              "wakedown")

/* UTF-8 inside a message; not ended by a zero. */
struct pressel_words {
    const char *at;
    uint16_t length;
};
/* A place in the order of all outcomes: everything before it is done. */
struct pressel_mark {
    uint32_t boot;
    uint32_t next;
};
struct pressel_hello {
    uint8_t protocol;
    uint16_t version[3];
    struct pressel_words board;
    uint32_t boot;
    struct pressel_words model;
};
struct pressel_state {
    uint8_t state;
    uint8_t provider;
    bool microphone_ok;
    bool worker_ok;
    bool muted;
    uint8_t waiting;
};
/* Transcript (number is the utterance, boot is 0) and Part (number is the sequence). */
struct pressel_part {
    uint32_t boot;
    uint32_t number;
    uint8_t part;
    uint8_t parts;
    struct pressel_words text;
};
/* Outcome (after and boot are 0) and Delivered. */
struct pressel_outcome {
    struct pressel_mark after;
    uint32_t boot;
    uint32_t sequence;
    uint32_t utterance;
    uint8_t trigger;
    uint8_t result;
    uint8_t why;    /* of Dropped the reason, of Failed the code, else 0 */
    uint16_t command; /* of Command: the phrase's number in the owner's list, else 0 */
    uint16_t bytes; /* of Text: length of the whole text, else 0 */
    bool truncated; /* of Text: more was said than fits */
    uint8_t confidence;
    uint32_t audio_ms;
    uint32_t capture_ms;
    uint32_t queue_ms;
    uint32_t encode_ms;
    uint32_t decode_ms;
    uint32_t link_ms;
};
struct pressel_counters {
    uint32_t uptime_s;
    uint32_t utterances;
    uint32_t texts;
    uint32_t no_speech;
    uint32_t dropped;
    uint32_t failed;
    uint32_t overruns;
    uint32_t lost_samples;
    uint32_t dropped_blocks;
    uint32_t link_dropped;
    uint32_t link_bad_frames;
    uint32_t worker_restarts;
};
struct pressel_gap {
    struct pressel_mark from;
    struct pressel_mark to;
};
struct pressel_job {
    uint32_t number;
    uint8_t state;
    uint8_t percent;
    uint32_t left_s;
};
struct pressel_alert {
    uint8_t alert;
    bool on;
};
/* One message; `kind` says which member counts. */
struct pressel_message {
    uint8_t kind;
    union {
        struct pressel_hello hello;
        struct pressel_state state;
        struct pressel_part part;
        struct pressel_outcome outcome;
        struct pressel_counters counters;
        uint32_t nonce;
        struct pressel_gap gap;
        struct pressel_job job;
        struct pressel_alert alert;
    } u;
};

/* The receiver. Read what has a comment; the rest is its own. */
struct pressel {
    struct pressel_message message; /* the last one */
    struct pressel_mark mark;       /* keep it for good before pressel_acknowledge */
    uint32_t frames_good;
    uint32_t frames_bad;     /* damaged, or of another version */
    uint32_t frames_unknown; /* whole, but of a kind that is newer than this file */
    uint16_t text_length;    /* bytes in text */
    bool text_is_cut;        /* more was said than PRESSEL_TEXT_BYTES_MAX */
    bool text_is_whole;      /* false only for one that listens: a part was lost */
    char text[PRESSEL_TEXT_BYTES_MAX + 1]; /* of the outcome, ended by a zero */

    uint8_t buffer[PRESSEL_FRAME_BYTES_MAX];
    uint16_t length;
    bool overlong;
    bool listens;
    bool ack_is_due;
    bool has_asked;
    bool has_heard;
    uint8_t said_parts;
    uint8_t said_next;
    uint16_t said_length;
    uint32_t said_boot;
    uint32_t said_number;
};

/* A receiver that acknowledges: every outcome once and in order. `mark` is what was kept. */
static inline void pressel_begin(struct pressel *p, struct pressel_mark mark) {
    memset(p, 0, sizeof *p);
    p->mark = mark;
    p->ack_is_due = true;
}

/* A receiver that only listens, for a wire in one direction: each outcome at most once. */
static inline void pressel_listen(struct pressel *p) {
    memset(p, 0, sizeof *p);
    p->listens = true;
}

/* ------------------------------------------------------------------ reading a message */

/* What is left of a message; `ok` becomes false for good at the first fault. */
struct pressel_reader {
    const uint8_t *at;
    size_t left;
    bool ok;
};

static inline uint8_t pressel_read_u8(struct pressel_reader *r) {
    if (r->left == 0) {
        r->ok = false;
        return 0;
    }
    r->left--;
    return *r->at++;
}

static inline bool pressel_read_bool(struct pressel_reader *r) {
    uint8_t byte = pressel_read_u8(r);
    if (1 < byte) {
        r->ok = false;
    }
    return byte == 1;
}

/* Seven bits a byte, lowest first; what does not fit `bits` is a fault. */
static inline uint32_t pressel_read_varint(struct pressel_reader *r, unsigned bits) {
    uint32_t value = 0;
    unsigned shift;
    for (shift = 0; shift < bits; shift += 7) {
        uint8_t byte = pressel_read_u8(r);
        if (bits - shift < 7 && (byte >> (bits - shift)) != 0) {
            break;
        }
        value |= (uint32_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    r->ok = false;
    return 0;
}

static inline uint32_t pressel_read_u32(struct pressel_reader *r) {
    return pressel_read_varint(r, 32);
}

static inline uint16_t pressel_read_u16(struct pressel_reader *r) {
    return (uint16_t)pressel_read_varint(r, 16);
}

/* Bytes of the UTF-8 character that begins at `at`, at most `left`; 0 if there is none. */
static inline size_t pressel_character(const uint8_t *at, size_t left) {
    uint8_t low = 0x80, high = 0xBF;
    size_t count, index;
    if (at[0] < 0x80) {
        return 1;
    }
    if (at[0] < 0xC2 || 0xF4 < at[0]) {
        return 0;
    }
    count = at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (left < count) {
        return 0;
    }
    if (at[0] == 0xE0) low = 0xA0;  /* no longer form than needed */
    if (at[0] == 0xED) high = 0x9F; /* no halves of a pair */
    if (at[0] == 0xF0) low = 0x90;
    if (at[0] == 0xF4) high = 0x8F; /* nothing above U+10FFFF */
    for (index = 1; index < count; index++) {
        if (at[index] < low || high < at[index]) {
            return 0;
        }
        low = 0x80;
        high = 0xBF;
    }
    return count;
}

/* Text of at most `bytes_max` bytes. */
static inline struct pressel_words pressel_read_words(struct pressel_reader *r,
                                                      uint32_t bytes_max) {
    struct pressel_words words = {NULL, 0};
    uint32_t length = pressel_read_u32(r);
    size_t at = 0;
    if (!r->ok || bytes_max < length || r->left < length) {
        r->ok = false;
        return words;
    }
    while (at < length) {
        size_t count = pressel_character(r->at + at, length - at);
        if (count == 0) {
            r->ok = false;
            return words;
        }
        at += count;
    }
    words.at = (const char *)r->at;
    words.length = (uint16_t)length;
    r->at += length;
    r->left -= length;
    return words;
}

static inline struct pressel_mark pressel_read_mark(struct pressel_reader *r) {
    struct pressel_mark mark;
    mark.boot = pressel_read_u32(r);
    mark.next = pressel_read_u32(r);
    return mark;
}

static inline void pressel_read_outcome(struct pressel_reader *r, struct pressel_outcome *outcome) {
    outcome->sequence = pressel_read_u32(r);
    outcome->utterance = pressel_read_u32(r);
    outcome->trigger = pressel_read_u8(r);
    {
        uint32_t result = pressel_read_u32(r);
        outcome->result = (uint8_t)result;
        if (result == PRESSEL_TEXT) {
            outcome->bytes = pressel_read_u16(r);
            outcome->truncated = pressel_read_bool(r);
        } else if (result == PRESSEL_DROPPED || result == PRESSEL_FAILED) {
            outcome->why = pressel_read_u8(r);
        } else if (result == PRESSEL_COMMAND) {
            outcome->command = pressel_read_u16(r);
        } else if (result != PRESSEL_NO_SPEECH && result != PRESSEL_UNKNOWN) {
            r->ok = false;
        }
    }
    outcome->confidence = pressel_read_u8(r);
    outcome->audio_ms = pressel_read_u32(r);
    outcome->capture_ms = pressel_read_u32(r);
    outcome->queue_ms = pressel_read_u32(r);
    outcome->encode_ms = pressel_read_u32(r);
    outcome->decode_ms = pressel_read_u32(r);
    outcome->link_ms = pressel_read_u32(r);
}

static inline void pressel_read_counters(struct pressel_reader *r, struct pressel_counters *c) {
    c->uptime_s = pressel_read_u32(r);
    c->utterances = pressel_read_u32(r);
    c->texts = pressel_read_u32(r);
    c->no_speech = pressel_read_u32(r);
    c->dropped = pressel_read_u32(r);
    c->failed = pressel_read_u32(r);
    c->overruns = pressel_read_u32(r);
    c->lost_samples = pressel_read_u32(r);
    c->dropped_blocks = pressel_read_u32(r);
    c->link_dropped = pressel_read_u32(r);
    c->link_bad_frames = pressel_read_u32(r);
    c->worker_restarts = pressel_read_u32(r);
}

static inline void pressel_read_hello(struct pressel_reader *r, struct pressel_hello *hello) {
    hello->protocol = pressel_read_u8(r);
    hello->version[0] = pressel_read_u16(r);
    hello->version[1] = pressel_read_u16(r);
    hello->version[2] = pressel_read_u16(r);
    hello->board = pressel_read_words(r, 24);
    hello->boot = pressel_read_u32(r);
    hello->model = pressel_read_words(r, 24);
}

static inline void pressel_read_state(struct pressel_reader *r, struct pressel_state *state) {
    state->state = pressel_read_u8(r);
    state->provider = pressel_read_u8(r);
    state->microphone_ok = pressel_read_bool(r);
    state->worker_ok = pressel_read_bool(r);
    state->muted = pressel_read_bool(r);
    state->waiting = pressel_read_u8(r);
}

/* Reads the fields of one message. False: a fault, or bytes left over. */
static inline bool pressel_read_message(struct pressel_reader *r, uint32_t kind,
                                        struct pressel_message *m) {
    memset(m, 0, sizeof *m);
    m->kind = (uint8_t)kind;
    switch (kind) {
    case PRESSEL_HELLO:
        pressel_read_hello(r, &m->u.hello);
        break;
    case PRESSEL_STATE:
        pressel_read_state(r, &m->u.state);
        break;
    case PRESSEL_TRANSCRIPT:
    case PRESSEL_PART:
        if (kind == PRESSEL_PART) {
            m->u.part.boot = pressel_read_u32(r);
        }
        m->u.part.number = pressel_read_u32(r);
        m->u.part.part = pressel_read_u8(r);
        m->u.part.parts = pressel_read_u8(r);
        m->u.part.text = pressel_read_words(r, 192);
        break;
    case PRESSEL_PLAIN_OUTCOME:
    case PRESSEL_DELIVERED:
        if (kind == PRESSEL_DELIVERED) {
            m->u.outcome.after = pressel_read_mark(r);
            m->u.outcome.boot = pressel_read_u32(r);
        }
        pressel_read_outcome(r, &m->u.outcome);
        break;
    case PRESSEL_COUNTERS:
        pressel_read_counters(r, &m->u.counters);
        break;
    case PRESSEL_PONG:
        m->u.nonce = pressel_read_u32(r);
        break;
    case PRESSEL_GAP_KIND:
        m->u.gap.from = pressel_read_mark(r);
        m->u.gap.to = pressel_read_mark(r);
        break;
    case PRESSEL_JOB:
        m->u.job.number = pressel_read_u32(r);
        m->u.job.state = pressel_read_u8(r);
        m->u.job.percent = pressel_read_u8(r);
        m->u.job.left_s = pressel_read_u32(r);
        break;
    case PRESSEL_ALERT:
        m->u.alert.alert = pressel_read_u8(r);
        m->u.alert.on = pressel_read_bool(r);
        break;
    default:
        return false;
    }
    return r->ok && r->left == 0;
}

/* ------------------------------------------------------------------ frames */

/* CRC-16/IBM-SDLC, also called X-25. */
static inline uint16_t pressel_crc(const uint8_t *bytes, size_t count) {
    uint16_t crc = 0xFFFF;
    size_t index;
    int bit;
    for (index = 0; index < count; index++) {
        crc = (uint16_t)(crc ^ bytes[index]);
        for (bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((crc & 1) ? (crc >> 1) ^ 0x8408 : crc >> 1);
        }
    }
    return (uint16_t)(crc ^ 0xFFFF);
}

/* Undoes COBS in place. Returns the bytes of the payload, 0 for a fault. */
static inline size_t pressel_unstuff(uint8_t *buffer, size_t count) {
    size_t from = 0, to = 0;
    while (from < count) {
        size_t code = buffer[from++];
        if (count < from + code - 1) {
            return 0;
        }
        memmove(buffer + to, buffer + from, code - 1);
        to += code - 1;
        from += code - 1;
        if (code < 255 && from < count) {
            buffer[to++] = 0;
        }
    }
    return to;
}

/* ------------------------------------------------------------------ the receiver's rule */

/* Whether mark `a` is behind, at or before mark `b`: 1, 0, -1. */
static inline int pressel_compare(struct pressel_mark a, struct pressel_mark b) {
    if (a.boot != b.boot) {
        return a.boot < b.boot ? -1 : 1;
    }
    return a.next == b.next ? 0 : a.next < b.next ? -1 : 1;
}

/* Keeps what fits of a part, up to the last whole character. */
static inline void pressel_keep(struct pressel *p, struct pressel_words words) {
    const uint8_t *at = (const uint8_t *)words.at;
    size_t room = PRESSEL_TEXT_BYTES_MAX - (size_t)p->text_length, fits = 0;
    if (p->text_is_cut) {
        return;
    }
    if (words.length <= room) {
        fits = words.length;
    } else {
        p->text_is_cut = true;
        while (fits < words.length) {
            size_t count = pressel_character(at + fits, words.length - fits);
            if (count == 0 || room < fits + count) {
                break;
            }
            fits += count;
        }
    }
    if (0 < fits) {
        memcpy(p->text + p->text_length, at, fits);
        p->text_length = (uint16_t)(p->text_length + fits);
    }
    p->text[p->text_length] = 0;
}

static inline void pressel_forget_text(struct pressel *p) {
    p->said_parts = 0;
    p->said_next = 0;
    p->said_length = 0;
    p->text_length = 0;
    p->text_is_cut = false;
    p->text[0] = 0;
}

/* Part 0, and a part of another text, begins anew; the part that is due is appended; others are
 * left out. */
static inline void pressel_collect(struct pressel *p, const struct pressel_part *part) {
    if (part->part == 0 || p->said_boot != part->boot || p->said_number != part->number ||
        p->said_parts != part->parts) {
        pressel_forget_text(p);
        p->said_boot = part->boot;
        p->said_number = part->number;
        p->said_parts = part->parts;
    }
    if (part->part != p->said_next || p->said_parts <= part->part ||
        PRESSEL_SAID_BYTES_MAX < p->said_length + part->text.length) {
        return;
    }
    p->said_next++;
    p->said_length = (uint16_t)(p->said_length + part->text.length);
    pressel_keep(p, part->text);
}

/* Whether what was collected is all of the text of this outcome. */
static inline bool pressel_is_whole(const struct pressel *p, const struct pressel_outcome *outcome,
                                    uint32_t number) {
    return p->said_boot == outcome->boot && p->said_number == number && p->said_parts != 0 &&
           p->said_next == p->said_parts && p->said_length == outcome->bytes;
}

static inline void pressel_ask_once(struct pressel *p) {
    if (!p->has_asked) {
        p->has_asked = true;
        p->ack_is_due = true;
    }
}

static inline void pressel_move(struct pressel *p, struct pressel_mark mark) {
    p->mark = mark;
    p->has_asked = false;
    p->ack_is_due = true;
}

/* The mark behind an outcome. */
static inline struct pressel_mark pressel_end(uint32_t boot, uint32_t sequence) {
    struct pressel_mark end;
    end.boot = boot;
    end.next = sequence == 0xFFFFFFFFu ? sequence : sequence + 1;
    return end;
}

static inline enum pressel_event pressel_on_delivered(struct pressel *p) {
    const struct pressel_outcome *outcome = &p->message.u.outcome;
    struct pressel_mark end = pressel_end(outcome->boot, outcome->sequence);
    bool is_whole = true;
    if (pressel_compare(end, p->mark) <= 0) {
        p->ack_is_due = true;
        return PRESSEL_NOTHING;
    }
    if (outcome->result == PRESSEL_TEXT) {
        is_whole = pressel_is_whole(p, outcome, outcome->sequence);
    } else {
        pressel_forget_text(p);
    }
    if (0 < pressel_compare(outcome->after, p->mark) || !is_whole) {
        pressel_ask_once(p);
        return PRESSEL_NOTHING;
    }
    p->text_is_whole = true;
    pressel_move(p, end);
    return PRESSEL_OUTCOME;
}

static inline enum pressel_event pressel_on_gap(struct pressel *p) {
    struct pressel_gap *gap = &p->message.u.gap;
    int from = pressel_compare(gap->from, p->mark), to = pressel_compare(gap->to, p->mark);
    bool has_forgotten = from == 0 && to < 0;
    if (!has_forgotten && to <= 0) {
        p->ack_is_due = true;
        return PRESSEL_NOTHING;
    }
    if (0 < from) {
        pressel_ask_once(p);
        return PRESSEL_NOTHING;
    }
    gap->from = p->mark; /* what is missing begins here */
    pressel_move(p, gap->to);
    return PRESSEL_GAP;
}

/* What a receiver that acknowledges does with a message. */
static inline enum pressel_event pressel_rule(struct pressel *p) {
    switch (p->message.kind) {
    case PRESSEL_PART:
        pressel_collect(p, &p->message.u.part);
        return PRESSEL_NOTHING;
    case PRESSEL_DELIVERED:
        return pressel_on_delivered(p);
    case PRESSEL_GAP_KIND:
        return pressel_on_gap(p);
    case PRESSEL_HELLO:
    case PRESSEL_PLAIN_OUTCOME:
    case PRESSEL_COUNTERS:
        p->ack_is_due = true;
        return PRESSEL_MESSAGE;
    default:
        return PRESSEL_MESSAGE;
    }
}

/* The outcome for one that only listens; its text may lack a part. */
static inline enum pressel_event pressel_on_plain_outcome(struct pressel *p) {
    const struct pressel_outcome *outcome = &p->message.u.outcome;
    struct pressel_mark end = pressel_end(0, outcome->sequence);
    if (p->has_heard && p->mark.next == end.next) {
        return PRESSEL_NOTHING;
    }
    p->has_heard = true;
    p->mark.next = end.next;
    if (outcome->result != PRESSEL_TEXT || p->said_number != outcome->utterance) {
        p->text_is_whole = outcome->result != PRESSEL_TEXT;
        pressel_forget_text(p);
    } else {
        p->text_is_whole = pressel_is_whole(p, outcome, outcome->utterance);
    }
    p->said_parts = 0; /* the next part begins a new text */
    p->said_next = 0;
    return PRESSEL_OUTCOME;
}

/* What a receiver that only listens does with a message. */
static inline enum pressel_event pressel_overhear(struct pressel *p) {
    switch (p->message.kind) {
    case PRESSEL_TRANSCRIPT:
        pressel_collect(p, &p->message.u.part);
        return PRESSEL_NOTHING;
    case PRESSEL_PLAIN_OUTCOME:
        return pressel_on_plain_outcome(p);
    case PRESSEL_HELLO:
        if (p->message.u.hello.boot != p->mark.boot) {
            pressel_forget_text(p);
            p->mark.boot = p->message.u.hello.boot;
            p->has_heard = false;
        }
        return PRESSEL_MESSAGE;
    default:
        return PRESSEL_MESSAGE;
    }
}

/* ------------------------------------------------------------------ to use */

/* A frame has ended. */
static inline enum pressel_event pressel_on_frame(struct pressel *p, size_t length) {
    size_t count = pressel_unstuff(p->buffer, length);
    struct pressel_reader reader;
    uint32_t kind;
    if (count < 4 || p->buffer[0] != 0x10 ||
        pressel_crc(p->buffer, count - 2) !=
            (uint16_t)(p->buffer[count - 2] | (p->buffer[count - 1] << 8))) {
        p->frames_bad++;
        return PRESSEL_BAD;
    }
    reader.at = p->buffer + 1;
    reader.left = count - 3;
    reader.ok = true;
    kind = pressel_read_u32(&reader);
    if (reader.ok && PRESSEL_KINDS <= kind) {
        p->frames_unknown++;
        return PRESSEL_BAD;
    }
    if (!reader.ok || !pressel_read_message(&reader, kind, &p->message)) {
        p->frames_bad++;
        return PRESSEL_BAD;
    }
    p->frames_good++;
    return p->listens ? pressel_overhear(p) : pressel_rule(p);
}

/* Takes in one byte of the line. */
static inline enum pressel_event pressel_push(struct pressel *p, uint8_t byte) {
    uint16_t length = p->length;
    bool overlong = p->overlong;
    if (byte != 0) {
        if (length < PRESSEL_FRAME_BYTES_MAX) {
            p->buffer[p->length++] = byte;
        } else {
            p->overlong = true;
        }
        return PRESSEL_NOTHING;
    }
    p->length = 0;
    p->overlong = false;
    if (overlong) {
        p->frames_bad++;
        return PRESSEL_BAD;
    }
    return length == 0 ? PRESSEL_NOTHING : pressel_on_frame(p, length);
}

static inline size_t pressel_put_varint(uint8_t *at, uint32_t value) {
    size_t count = 0;
    while (0x80 <= value) {
        at[count++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[count++] = (uint8_t)value;
    return count;
}

/* Writes a frame around `count` bytes of message; returns its length. */
static inline size_t pressel_frame(const uint8_t *message, size_t count, uint8_t *out) {
    uint8_t plain[PRESSEL_COMMAND_BYTES_MAX];
    size_t length = 0, code_at = 1, index;
    uint16_t crc;
    plain[length++] = 0x11;
    memcpy(plain + length, message, count);
    length += count;
    crc = pressel_crc(plain, length);
    plain[length++] = (uint8_t)crc;
    plain[length++] = (uint8_t)(crc >> 8);
    out[0] = 0;
    for (index = 0; index < length; index++) {
        out[index + 2] = plain[index];
        if (plain[index] == 0) {
            out[code_at] = (uint8_t)(index + 2 - code_at);
            code_at = index + 2;
        }
    }
    out[code_at] = (uint8_t)(length + 2 - code_at);
    out[length + 2] = 0;
    return length + 3;
}

/* Writes the frame of a command into `out`, PRESSEL_COMMAND_BYTES_MAX bytes; returns its length.
 * `value` counts for PRESSEL_PING and PRESSEL_MUTE. */
static inline size_t pressel_command(enum pressel_command_kind kind, uint32_t value, uint8_t *out) {
    uint8_t message[6];
    size_t count = 1;
    message[0] = (uint8_t)kind;
    if (kind == PRESSEL_PING) {
        count += pressel_put_varint(message + 1, value);
    } else if (kind == PRESSEL_MUTE) {
        message[count++] = value != 0;
    }
    return pressel_frame(message, count, out);
}

/* Writes the acknowledgement that is due into `out`, PRESSEL_COMMAND_BYTES_MAX bytes; returns its
 * length, 0 when none is due. Call it after each pressel_push, when the mark is kept for good. */
static inline size_t pressel_acknowledge(struct pressel *p, uint8_t *out) {
    uint8_t message[11];
    size_t count = 1;
    if (!p->ack_is_due) {
        return 0;
    }
    p->ack_is_due = false;
    message[0] = 6;
    count += pressel_put_varint(message + count, p->mark.boot);
    count += pressel_put_varint(message + count, p->mark.next);
    return pressel_frame(message, count, out);
}

#ifdef __cplusplus
}
#endif

#endif
