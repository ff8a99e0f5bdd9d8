/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connection to the shim, on a thread of its own: connects, for ever; sends what is queued in
 * the shadow; takes acknowledgements. The shim may be stopped, slow or gone: only this thread
 * notices.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "plugin.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/un.h>

#include "lib/frrcu.h"
#include "lib/version.h"

#define BUFFER_SIZE (64 * 1024)
#define QUIET_MS 2000
#define FIRST_BACKOFF_MS 100
#define LAST_BACKOFF_MS 1000
#define REFUSED_BACKOFF_MS 5000
#define RECONSIDER_MS 1000

static struct {
    int fd;
    bool accepted;
    int backoff_ms;
    int64_t next_attempt_ms;
    char last_complaint[192]; /* each is logged once in a row */

    uint8_t output[BUFFER_SIZE];
    size_t output_start, output_end;
    uint8_t input[BUFFER_SIZE];
    size_t input_end;
} connection = {.fd = -1, .backoff_ms = FIRST_BACKOFF_MS};

static void complain(const char *text)
{
    if (strcmp(connection.last_complaint, text) == 0)
        return;
    strlcpy(connection.last_complaint, text, sizeof(connection.last_complaint));
    zlog_warn("wye: %s", text);
}

static void close_connection(const char *why, int backoff_ms)
{
    char text[192];

    snprintf(text, sizeof(text), "not connected to wye-shim at %s: %s", wye.socket, why);
    complain(text);
    if (connection.fd >= 0)
        close(connection.fd);
    connection.fd = -1;
    connection.accepted = false;
    connection.output_start = connection.output_end = connection.input_end = 0;
    connection.backoff_ms = backoff_ms;
    connection.next_attempt_ms = now_ms() + backoff_ms;
    atomic_store(&wye.connected, false);
    pthread_mutex_lock(&wye.shadow.lock);
    shadow_disconnect(&wye.shadow);
    pthread_mutex_unlock(&wye.shadow.lock);
}

static void put(const void *message, size_t size)
{
    memcpy(connection.output + connection.output_end, message, size);
    connection.output_end += size;
}

static void say_hello(void)
{
    struct wye_zebra_hello hello = {};

    hello.frame.length = sizeof(hello);
    hello.frame.type = WYE_ZEBRA_HELLO;
    hello.magic = WYE_ZEBRA_MAGIC;
    hello.version = WYE_ZEBRA_VERSION;
    hello.process = (uint32_t)getpid();
    strlcpy(hello.frr_version, FRR_VER_SHORT, sizeof(hello.frr_version));
    put(&hello, sizeof(hello));
}

static void try_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int backoff = MIN(connection.backoff_ms * 2, LAST_BACKOFF_MS);

    strlcpy(address.sun_path, wye.socket, sizeof(address.sun_path));
    connection.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection.fd < 0 ||
        connect(connection.fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close_connection(safe_strerror(errno), backoff);
        return;
    }
    say_hello();
}

/* What the shim says */

static void begin_snapshot(void)
{
    struct wye_zebra_snapshot begin = {};

    begin.frame.length = sizeof(begin);
    begin.frame.type = WYE_ZEBRA_SNAPSHOT_BEGIN;
    pthread_mutex_lock(&wye.shadow.lock);
    shadow_connect(&wye.shadow);
    begin.generation = wye.shadow.connection;
    pthread_mutex_unlock(&wye.shadow.lock);
    put(&begin, sizeof(begin));
}

static bool take_reply(const uint8_t *bytes, size_t length)
{
    struct wye_zebra_hello_reply reply;
    char text[192];

    if (connection.accepted || length != sizeof(reply))
        return false;
    memcpy(&reply, bytes, sizeof(reply));
    if (reply.magic != WYE_ZEBRA_MAGIC || reply.text[sizeof(reply.text) - 1] != '\0')
        return false;
    if (!reply.accepted || reply.version != WYE_ZEBRA_VERSION) {
        snprintf(text, sizeof(text), "it refused: %s", reply.text);
        close_connection(text, REFUSED_BACKOFF_MS);
        return true;
    }
    connection.accepted = true;
    connection.backoff_ms = FIRST_BACKOFF_MS;
    connection.last_complaint[0] = '\0';
    COUNT(connects, 1);
    atomic_store(&wye.connected, true);
    zlog_notice("wye: connected to wye-shim at %s", wye.socket);
    begin_snapshot();
    return true;
}

static bool take_acknowledgements(const uint8_t *bytes, size_t length)
{
    struct wye_zebra_acknowledge head;
    struct dplane_ctx_q done;
    bool installed, late = false;
    size_t at;

    if (!connection.accepted || length < sizeof(head) || (length - sizeof(head)) % 8 != 0)
        return false;
    memcpy(&head, bytes, sizeof(head));
    if (head.result != WYE_ZEBRA_INSTALLED && head.result != WYE_ZEBRA_REFUSED)
        return false;
    installed = head.result == WYE_ZEBRA_INSTALLED;
    TAILQ_INIT(&done);
    pthread_mutex_lock(&wye.shadow.lock);
    for (at = sizeof(head); at < length; at += 8) {
        uint64_t id;

        memcpy(&id, bytes + at, sizeof(id));
        if (!shadow_acknowledge(&wye.shadow, id, installed, &done, &late))
            continue;
        COUNT(acknowledged, 1);
        if (!installed)
            COUNT(refused, 1);
    }
    answer_all(&done, installed);
    wye.must_reconsider |= late;
    pthread_mutex_unlock(&wye.shadow.lock);
    return true;
}

/* One message at the start of the input; its length, 0 if it is not complete, -1 for garbage. */
static ssize_t take_message(const uint8_t *bytes, size_t available)
{
    struct wye_zebra_frame frame;
    bool good = false;

    if (available < sizeof(frame))
        return 0;
    memcpy(&frame, bytes, sizeof(frame));
    if (frame.length < sizeof(frame) || frame.length > WYE_ZEBRA_MAX_MESSAGE || frame.reserved)
        return -1;
    if (available < frame.length)
        return 0;
    if (frame.type == WYE_ZEBRA_HELLO_REPLY)
        good = take_reply(bytes, frame.length);
    else if (frame.type == WYE_ZEBRA_ACKNOWLEDGE)
        good = take_acknowledgements(bytes, frame.length);
    return good ? frame.length : -1;
}

static void receive(void)
{
    ssize_t got = recv(connection.fd, connection.input + connection.input_end,
                       sizeof(connection.input) - connection.input_end, 0);
    size_t at = 0;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close_connection(got ? safe_strerror(errno) : "it closed the connection",
                         FIRST_BACKOFF_MS);
        return;
    }
    connection.input_end += (size_t)got;
    while (connection.fd >= 0) {
        ssize_t used = take_message(connection.input + at, connection.input_end - at);

        if (used == 0)
            break;
        if (used < 0) {
            close_connection("it sent something that is not the protocol", LAST_BACKOFF_MS);
            return;
        }
        at += (size_t)used;
    }
    if (connection.fd < 0)
        return;
    memmove(connection.input, connection.input + at, connection.input_end - at);
    connection.input_end -= at;
    dplane_provider_work_ready();
}

/* What we say */

/* Whether zebra has had the time to learn its routes again after its start. FRR does not tell a
 * dataplane when that is: we wait for the protocols' own reconnect time and then for a pause. */
static bool is_settled(void)
{
    static bool settled; /* once is for ever */
    const int64_t now = now_ms(), age = now - wye.started_ms;
    const int64_t settle = (int64_t)wye.settle_seconds * 1000;

    if (age >= settle && (now - wye.last_change_ms >= QUIET_MS || age >= 10 * settle))
        settled = true;
    return settled;
}

/* Fills the output from the shadow; says whether there is more to do. */
static bool fill(void)
{
    struct dplane_ctx_q done;
    bool more, answered;

    if (connection.output_start < connection.output_end)
        return true;
    connection.output_start = connection.output_end = 0;
    if (!connection.accepted || atomic_load(&wye.stopping))
        return false;
    TAILQ_INIT(&done);
    pthread_mutex_lock(&wye.shadow.lock);
    if (!wye.shadow.end_sent && !wye.shadow.end_marked && is_settled())
        shadow_mark_end(&wye.shadow);
    connection.output_end =
        shadow_fill(&wye.shadow, connection.output, sizeof(connection.output), &done);
    more = connection.output_end > 0 || wye.shadow.queue.first;
    answered = dplane_ctx_get_head(&done);
    answer_all(&done, true);
    pthread_mutex_unlock(&wye.shadow.lock);
    if (answered)
        dplane_provider_work_ready();
    return more;
}

/* Sends until nothing is left or the socket is full; says whether it is full. */
static bool send_queued(void)
{
    int rounds;

    for (rounds = 0; rounds < 64 && connection.fd >= 0 && fill(); rounds++) {
        ssize_t sent;

        if (connection.output_start == connection.output_end)
            continue;
        sent = send(connection.fd, connection.output + connection.output_start,
                    connection.output_end - connection.output_start, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return true;
        if (sent < 0 && errno != EINTR)
            close_connection(safe_strerror(errno), FIRST_BACKOFF_MS);
        else if (sent > 0)
            connection.output_start += (size_t)sent;
    }
    return rounds == 64;
}

/* Once there is room again, or the shim could install what it had refused, zebra may try again what
 * was failed. Going over all its routes costs its main thread time: not all the time. */
static void reconsider_if_possible(void)
{
    static int64_t next_ms;
    bool now;

    pthread_mutex_lock(&wye.shadow.lock);
    now = wye.must_reconsider && now_ms() >= next_ms && wye.shadow.connected && !wye.shadow.queue.first &&
          wye.shadow.held <= wye.held_limit / 4;
    if (now)
        wye.must_reconsider = false;
    pthread_mutex_unlock(&wye.shadow.lock);
    if (!now)
        return;
    next_ms = now_ms() + RECONSIDER_MS;
    reconsider_failed();
}

/* Until a wake-up, unless something has to be looked at again before. */
static int poll_timeout(void)
{
    bool waits;

    if (connection.fd < 0)
        return (int)MAX(connection.next_attempt_ms - now_ms(), 0) + 1;
    pthread_mutex_lock(&wye.shadow.lock);
    waits = !wye.shadow.end_sent || wye.must_reconsider;
    pthread_mutex_unlock(&wye.shadow.lock);
    return waits ? 200 : -1;
}

static void *link_run(void *arg)
{
    struct frr_pthread *thread = arg;
    bool full = false;

    thread->master->owner = pthread_self();
    /* A thread without FRR's event loop must leave the read-copy-update section it starts in. */
    rcu_read_unlock();
    frr_pthread_set_name(thread);
    frr_pthread_notify_running(thread);
    while (!atomic_load(&wye.stopping)) {
        struct pollfd ready[2] = {{.fd = wye.wake, .events = POLLIN}};
        uint64_t wakes;

        if (connection.fd < 0 && now_ms() >= connection.next_attempt_ms)
            try_connect();
        ready[1].fd = connection.fd;
        ready[1].events = (short)(full ? POLLIN | POLLOUT : POLLIN);
        if (connection.output_start < connection.output_end)
            ready[1].events |= POLLOUT;
        poll(ready, 2, poll_timeout());
        if (ready[0].revents)
            (void)!read(wye.wake, &wakes, sizeof(wakes));
        if (connection.fd >= 0 && (ready[1].revents & (POLLIN | POLLHUP | POLLERR)))
            receive();
        full = connection.fd >= 0 && send_queued();
        reconsider_if_possible();
    }
    if (connection.fd >= 0)
        close(connection.fd);
    rcu_read_lock();
    return NULL;
}

static int link_halt(struct frr_pthread *thread, void **result)
{
    atomic_store(&wye.stopping, true);
    link_wake();
    pthread_join(thread->thread, result);
    atomic_store(&thread->running, false);
    return 0;
}

void link_wake(void)
{
    const uint64_t one = 1;

    (void)!write(wye.wake, &one, sizeof(one));
}

void link_start(void)
{
    const struct frr_pthread_attr attributes = {.start = link_run, .stop = link_halt};

    wye.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    wye.thread = frr_pthread_new(&attributes, "wye shim link", "wye_link");
    frr_pthread_run(wye.thread, NULL);
}

void link_stop(void)
{
    if (wye.thread)
        frr_pthread_stop(wye.thread, NULL);
}
