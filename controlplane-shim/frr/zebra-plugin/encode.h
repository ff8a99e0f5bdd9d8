/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A zebra route context as a record of the protocol.
 */
#ifndef WYE_ENCODE_H
#define WYE_ENCODE_H

#include "shadow.h"

struct encode_notes {
    uint32_t left_out;  /* next hops that the protocol cannot say: labels, SRv6, EVPN */
    uint32_t truncated; /* next hops beyond the 64th */
};

/* Key and operation; no state. */
void encode_key(const struct zebra_dplane_ctx *ctx, struct wye_zebra_route *head);
/* False if nothing that the shim could forward by is left: `route` is then a removal. */
bool encode_route(const struct zebra_dplane_ctx *ctx, struct shadow_route *route,
                  struct encode_notes *notes);

#endif
