/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * wye_dplane.so: a zebra dataplane provider that hands routes to wye-shim instead of the kernel.
 *
 *   zebra -M /path/wye_dplane.so:socket=/run/wye/zebra.sock[,skip_kernel=0][,held=N][,settle=S]
 *
 * docs/frr.md says what each argument does, what is acknowledged when, and what is not taken.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "plugin.h"

#include "lib/command.h"
#include "lib/defaults.h"
#include "lib/hook.h"
#include "lib/libfrr.h"
#include "lib/module.h"
#include "lib/version.h"
#include "zebra/rib.h"
#include "zebra/rt.h"

#define DEFAULT_HELD 50000
#define DEFAULT_SETTLE_SECONDS 15
/* How long the dplane thread makes zebra wait when the shim falls behind: at most once a batch. */
#define PACE_MS 5
#define BATCH_LIMIT_US 10000
#define LOG_EVERY_MS 10000

struct plugin wye;

/* Answers */

void answer(struct zebra_dplane_ctx *ctx, bool installed)
{
    /* What zebra has removed is forgotten there: a failure would help nobody. */
    const bool success = installed || dplane_ctx_get_op(ctx) == DPLANE_OP_ROUTE_DELETE;

    dplane_ctx_set_status(ctx,
                          success ? ZEBRA_DPLANE_REQUEST_SUCCESS : ZEBRA_DPLANE_REQUEST_FAILURE);
    dplane_provider_enqueue_out_ctx(wye.provider, ctx);
}

void answer_all(struct dplane_ctx_q *contexts, bool installed)
{
    struct zebra_dplane_ctx *ctx;

    while ((ctx = dplane_ctx_dequeue(contexts)))
        answer(ctx, installed);
}

/* Contexts, in the dplane thread, lock held */

static void note_encoding(const struct encode_notes *notes)
{
    if (notes->left_out)
        COUNT(left_out, notes->left_out);
    if (notes->truncated)
        COUNT(truncated, notes->truncated);
}

/* No room to hold it: the route is failed now, sent to the shim nevertheless, and tried again by
 * zebra when there is room. */
static void answer_without_holding(struct shadow_entry *entry, struct zebra_dplane_ctx *ctx)
{
    struct dplane_ctx_q older;

    TAILQ_INIT(&older);
    shadow_release(&wye.shadow, entry, UINT32_MAX, &older);
    answer_all(&older, false);
    answer(ctx, false);
    COUNT(overflowed, 1);
    wye.must_reconsider = true;
}

static void hold_or_answer(struct shadow_entry *entry, struct zebra_dplane_ctx *ctx)
{
    /* Everything rests on connected routes, and the kernel has them in any case: not held. But not
     * before an older context of the prefix either. */
    if (RSYSTEM_ROUTE(dplane_ctx_get_type(ctx)) && !entry->held_count)
        answer(ctx, true);
    else if (wye.shadow.held >= wye.held_limit)
        answer_without_holding(entry, ctx);
    else
        shadow_hold(&wye.shadow, entry, ctx);
}

static void take_install(struct shadow_vrf *vrf, struct zebra_dplane_ctx *ctx)
{
    static struct shadow_route route; /* large, and only this thread is here */
    struct encode_notes notes = {};
    struct shadow_entry *entry;
    const bool usable = encode_route(ctx, &route, &notes);

    note_encoding(&notes);
    entry = usable ? shadow_get(&wye.shadow, vrf, &route.head)
                   : shadow_find(&wye.shadow, vrf, &route.head);
    if (wye.skip_kernel && !RSYSTEM_ROUTE(dplane_ctx_get_type(ctx)))
        dplane_ctx_set_skip_kernel(ctx);
    if (!usable) {
        COUNT(unsupported, 1);
        if (shadow_exists(entry))
            shadow_set(&wye.shadow, entry, &route);
        answer(ctx, RSYSTEM_ROUTE(dplane_ctx_get_type(ctx)));
        return;
    }
    if (shadow_set(&wye.shadow, entry, &route)) {
        hold_or_answer(entry, ctx);
    } else {
        COUNT(unchanged, 1);
        answer(ctx, true);
    }
}

static void take_delete(struct shadow_vrf *vrf, struct zebra_dplane_ctx *ctx)
{
    struct shadow_route route;
    struct shadow_entry *entry;

    encode_key(ctx, &route.head);
    entry = shadow_find(&wye.shadow, vrf, &route.head);
    /* A route that never went to the shim is one that an earlier zebra left in the kernel. */
    if (!shadow_exists(entry)) {
        answer(ctx, true);
        return;
    }
    if (wye.skip_kernel)
        dplane_ctx_set_skip_kernel(ctx);
    shadow_set(&wye.shadow, entry, &route);
    hold_or_answer(entry, ctx);
}

/* Routes of other tables, with a source prefix or for multicast stay zebra's and the kernel's. */
static bool is_ours(const struct shadow_vrf *vrf, const struct zebra_dplane_ctx *ctx)
{
    const struct prefix *source = dplane_ctx_get_src(ctx);
    const uint8_t family = dplane_ctx_get_dest(ctx)->family;

    return vrf && dplane_ctx_get_table(ctx) == vrf->table &&
           dplane_ctx_get_safi(ctx) == SAFI_UNICAST && (!source || !source->prefixlen) &&
           (family == AF_INET || family == AF_INET6);
}

static void take_route(struct zebra_dplane_ctx *ctx)
{
    struct shadow_vrf *vrf;

    COUNT(received, 1);
    if (atomic_load(&wye.stopping)) {
        /* zebra takes all its routes back when it stops; forwarding goes on without it. */
        if (wye.skip_kernel)
            dplane_ctx_set_skip_kernel(ctx);
        answer(ctx, true);
        return;
    }
    naming_apply(dplane_ctx_get_seq(ctx));
    vrf = shadow_find_vrf(&wye.shadow, dplane_ctx_get_vrf(ctx));
    if (!is_ours(vrf, ctx)) {
        COUNT(other_tables, 1);
        answer(ctx, true);
    } else if (dplane_ctx_get_op(ctx) == DPLANE_OP_ROUTE_DELETE) {
        take_delete(vrf, ctx);
    } else {
        take_install(vrf, ctx);
    }
    wye.last_change_ms = now_ms();
}

static void take(struct zebra_dplane_ctx *ctx)
{
    switch (dplane_ctx_get_op(ctx)) {
    case DPLANE_OP_ROUTE_INSTALL:
    case DPLANE_OP_ROUTE_UPDATE:
    case DPLANE_OP_ROUTE_DELETE:
        take_route(ctx);
        break;
    case DPLANE_OP_NH_INSTALL:
    case DPLANE_OP_NH_UPDATE:
    case DPLANE_OP_NH_DELETE:
        /* A route carries its whole list: the kernel's objects would serve nobody. */
        if (wye.skip_kernel)
            dplane_ctx_set_skip_kernel(ctx);
        answer(ctx, true);
        break;
    default:
        dplane_provider_enqueue_out_ctx(wye.provider, ctx);
        break;
    }
}

static void log_overflow(void)
{
    static uint64_t logged;
    static int64_t logged_ms;
    const uint64_t overflowed = atomic_load(&wye.counters.overflowed);

    if (overflowed == logged || now_ms() - logged_ms < LOG_EVERY_MS)
        return;
    zlog_warn("wye: %" PRIu64 " routes failed so far: %" PRIu64
              " wait for wye-shim, which is %s; they are tried again when it has caught up",
              overflowed, wye.held_limit,
              atomic_load(&wye.connected) ? "connected but slow" : "not connected");
    logged = overflowed;
    logged_ms = now_ms();
}

/* zebra's queue in front of us is what makes the protocols wait. If the shim falls behind, a pause
 * here lets that queue fill, long before routes have to be failed. */
static void pace(void)
{
    struct timespec until;

    if (!wye.shadow.connected || wye.shadow.held < wye.held_limit / 4 * 3)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PACE_MS * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (wye.shadow.held >= wye.held_limit / 4 * 3)
        if (pthread_cond_timedwait(&wye.shadow.drained, &wye.shadow.lock, &until) != 0)
            break;
}

static uint64_t clock_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What we take of the dplane thread's time for a batch. Of the clock's time a part may be that of other
 * programs: the processor's time says what is ours, and to it the pause is added at most. */
static void note_batch(uint64_t clock, uint64_t processor)
{
    COUNT(batches, 1);
    if (clock > BATCH_LIMIT_US)
        COUNT(long_batches, 1);
    if (clock > atomic_load(&wye.counters.longest_us))
        atomic_store(&wye.counters.longest_us, clock);
    if (processor > atomic_load(&wye.counters.longest_processor_us))
        atomic_store(&wye.counters.longest_processor_us, processor);
}

static int process(struct zebra_dplane_provider *provider)
{
    const int limit = dplane_provider_get_work_limit(provider);
    const uint64_t clock = clock_us(CLOCK_MONOTONIC), processor = clock_us(CLOCK_THREAD_CPUTIME_ID);
    struct dplane_ctx_q batch;
    struct zebra_dplane_ctx *ctx;
    int count;

    TAILQ_INIT(&batch);
    count = dplane_provider_dequeue_in_list(provider, &batch);
    if (!count)
        return 0;
    pthread_mutex_lock(&wye.shadow.lock);
    while ((ctx = dplane_ctx_dequeue(&batch)))
        take(ctx);
    pace();
    pthread_mutex_unlock(&wye.shadow.lock);
    link_wake();
    log_overflow();
    if (count >= limit)
        dplane_provider_work_ready();
    note_batch(clock_us(CLOCK_MONOTONIC) - clock, clock_us(CLOCK_THREAD_CPUTIME_ID) - processor);
    return 0;
}

static int start(struct zebra_dplane_provider *provider)
{
    wye.started_ms = wye.last_change_ms = now_ms();
    link_start();
    return 0;
}

/* Early: zebra begins to stop. The shim is left before zebra removes its routes, and what is held
 * goes back, since zebra waits for it. */
static int finish(struct zebra_dplane_provider *provider, bool early)
{
    struct dplane_ctx_q held;

    if (!early)
        return 0;
    link_stop();
    TAILQ_INIT(&held);
    pthread_mutex_lock(&wye.shadow.lock);
    shadow_release_all(&wye.shadow, &held);
    answer_all(&held, true);
    pthread_mutex_unlock(&wye.shadow.lock);
    dplane_provider_work_ready();
    return 0;
}

/* For people */

#define SHOW(label, value) vty_out(vty, "%-28s %" PRIu64 "\n", label, (uint64_t)(value))
#define SHOW_COUNTER(label, name) SHOW(label, atomic_load(&wye.counters.name))

DEFUN(show_wye, show_wye_cmd, "show wye", SHOW_STR "wye dataplane plugin\n")
{
    vty_out(vty, "%-28s %s\n", "socket", wye.socket);
    vty_out(vty, "%-28s %s\n", "connected", atomic_load(&wye.connected) ? "yes" : "no");
    vty_out(vty, "%-28s %s\n", "routes in the kernel", wye.skip_kernel ? "no" : "yes");
    pthread_mutex_lock(&wye.shadow.lock);
    SHOW("prefixes in the shadow", wye.shadow.entries);
    SHOW("to be sent", wye.shadow.queued);
    SHOW("held for acknowledgement", wye.shadow.held);
    SHOW("snapshot ended", wye.shadow.end_sent);
    SHOW("routes sent", wye.shadow.sent);
    pthread_mutex_unlock(&wye.shadow.lock);
    SHOW("held at most", wye.held_limit);
    SHOW_COUNTER("connects", connects);
    SHOW_COUNTER("contexts received", received);
    SHOW_COUNTER("acknowledged", acknowledged);
    SHOW_COUNTER("refused by the shim", refused);
    SHOW_COUNTER("unchanged", unchanged);
    SHOW_COUNTER("failed: too many held", overflowed);
    SHOW_COUNTER("failed: no usable next hop", unsupported);
    SHOW_COUNTER("next hops left out", left_out);
    SHOW_COUNTER("next hops beyond 64", truncated);
    SHOW_COUNTER("batches", batches);
    SHOW_COUNTER("batches beyond 10 ms", long_batches);
    SHOW_COUNTER("longest batch, us", longest_us);
    SHOW_COUNTER("longest, us of processor", longest_processor_us);
    SHOW_COUNTER("not for us", other_tables);
    return CMD_SUCCESS;
}

/* Loading */

static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno && *value >= least && *value <= most;
}

static bool parse_argument(char *argument)
{
    char *value = strchr(argument, '=');
    uint64_t number;

    if (!value)
        return false;
    *value++ = '\0';
    if (strcmp(argument, "socket") == 0)
        return *value == '/' &&
               strlcpy(wye.socket, value, sizeof(wye.socket)) < sizeof(wye.socket);
    if (strcmp(argument, "skip_kernel") == 0 && parse_number(value, 0, 1, &number))
        wye.skip_kernel = number;
    else if (strcmp(argument, "held") == 0 && parse_number(value, 1, 10000000, &number))
        wye.held_limit = number;
    else if (strcmp(argument, "settle") == 0 && parse_number(value, 0, 3600, &number))
        wye.settle_seconds = (uint32_t)number;
    else
        return false;
    return true;
}

static bool parse_arguments(const char *arguments)
{
    char copy[512];
    char *rest = copy, *argument;

    wye.skip_kernel = true;
    wye.held_limit = DEFAULT_HELD;
    wye.settle_seconds = DEFAULT_SETTLE_SECONDS;
    strlcpy(copy, arguments ? arguments : "", sizeof(copy));
    while ((argument = strsep(&rest, ",")))
        if (*argument && !parse_argument(argument)) {
            fprintf(stderr,
                    "wye_dplane: argument '%s' is unknown or its value is not possible; it takes "
                    "socket=/PATH, skip_kernel=0|1, held=1..10000000, settle=0..3600 (seconds)\n",
                    argument);
            return false;
        }
    if (!*wye.socket)
        fprintf(stderr, "wye_dplane: no socket; load it with "
                        "-M /path/wye_dplane.so:socket=/run/wye/zebra.sock\n");
    return *wye.socket;
}

/* Before the daemon forks: only registers. */
static int late_init(struct thread_master *master)
{
    dplane_provider_register("wye", DPLANE_PRIO_PRE_KERNEL, DPLANE_PROV_FLAG_THREADED, start,
                             process, finish, NULL, &wye.provider);
    naming_start();
    install_element(VIEW_NODE, &show_wye_cmd);
    return 0;
}

static int module_init(void)
{
    /* zebra makes no check of its own, and its structs differ from version to version. */
    if (strcmp(FRR_VER_SHORT, frr_defaults_version()) != 0) {
        fprintf(stderr,
                "wye_dplane: built for FRR %s, but this is FRR %s; build it again with "
                "controlplane-shim/frr/zebra-plugin/build\n",
                FRR_VER_SHORT, frr_defaults_version());
        return -1;
    }
    if (!parse_arguments(THIS_MODULE->load_args))
        return -1;
    shadow_init(&wye.shadow);
    hook_register(frr_late_init, late_init);
    return 0;
}

FRR_MODULE_SETUP(.name = "wye_dplane", .version = "1",
                 .description = "hands routes to the wye router", .init = module_init, );
