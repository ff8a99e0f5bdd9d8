/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A zebra dataplane provider that answers every route and next hop at once and does nothing: what a
 * full table costs zebra and bgpd themselves. For scripts/full-table only; nothing is forwarded.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <zebra.h>

#include "lib/hook.h"
#include "lib/libfrr.h"
#include "lib/module.h"
#include "lib/version.h"
#include "zebra/zebra_dplane.h"

static struct zebra_dplane_provider *null_provider;

static void answer(struct zebra_dplane_ctx *ctx)
{
    switch (dplane_ctx_get_op(ctx)) {
    case DPLANE_OP_ROUTE_INSTALL:
    case DPLANE_OP_ROUTE_UPDATE:
    case DPLANE_OP_ROUTE_DELETE:
    case DPLANE_OP_NH_INSTALL:
    case DPLANE_OP_NH_UPDATE:
    case DPLANE_OP_NH_DELETE:
        dplane_ctx_set_skip_kernel(ctx);
        dplane_ctx_set_status(ctx, ZEBRA_DPLANE_REQUEST_SUCCESS);
        break;
    default:
        break;
    }
    dplane_provider_enqueue_out_ctx(null_provider, ctx);
}

static int process(struct zebra_dplane_provider *provider)
{
    struct dplane_ctx_q batch;
    struct zebra_dplane_ctx *ctx;
    int count;

    TAILQ_INIT(&batch);
    count = dplane_provider_dequeue_in_list(provider, &batch);
    while ((ctx = dplane_ctx_dequeue(&batch)))
        answer(ctx);
    if (count >= dplane_provider_get_work_limit(provider))
        dplane_provider_work_ready();
    return 0;
}

static int late_init(struct thread_master *master)
{
    dplane_provider_register("null", DPLANE_PRIO_PRE_KERNEL, DPLANE_PROV_FLAG_THREADED, NULL,
                             process, NULL, NULL, &null_provider);
    return 0;
}

static int module_init(void)
{
    hook_register(frr_late_init, late_init);
    return 0;
}

FRR_MODULE_SETUP(.name = "null_dplane", .version = "1",
                 .description = "answers at once, does nothing", .init = module_init, );
