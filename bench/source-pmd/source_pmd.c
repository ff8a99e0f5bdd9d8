/* net_wye_source: a DPDK port without a NIC, for measuring one core.
 *
 * Receiving allocates a buffer and copies the next of a list of ready-made headers into it; sending
 * frees. So what is measured through it is the application, buffers included, and little else. It
 * loads into any DPDK application (EAL option -d), so that all are measured alike:
 *
 *   --vdev=net_wye_source0,flows=64,size=64
 *   --vdev=net_wye_source0,template=FILE,size=64,counters=FILE2
 *
 * flows     how many frames the built-in generator makes (UDP to 198.18.x.y, a power of two wraps
 *           cheapest), default 1
 * size      bytes of a template, a multiple of 64, default 64
 * template  file of templates of `size` bytes, one after the other, instead of the generator. A
 *           frame is as long as its IP header says: what is beyond the template, like the rest of a
 *           long frame, is whatever the buffer held, for a NIC would not cost the core that copy
 * counters  file (struct shared) into which each queue counts, to be sampled from outside while the
 *           application runs, and from which the window is read: which of the templates are sent
 * capture   pcap file for one burst of what is sent, after the first million of a queue: to see that
 *           the application does what it is measured at
 * silent    1: nothing is received; for applications that send by another port
 *
 * Each queue has a source of its own. The packet type is filled in as NICs do (IPv4 or IPv6, of the
 * first template). No interrupts, no offloads but fast free.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>

RTE_LOG_REGISTER_DEFAULT(source_log, NOTICE);
#define SOURCE_ERROR(...) rte_log(RTE_LOG_ERR, (uint32_t)source_log, "net_wye_source: " __VA_ARGS__)

#define MAX_QUEUES 16

struct source_arguments {
    uint64_t flows;
    uint64_t size;
    uint64_t silent;
    char* template_path;
    char* counters_path;
    char* capture_path;
};

struct queue_counters {
    volatile uint64_t received, sent;
} __rte_aligned(128);

/* The file `counters`. Readers: bench/harness/applications.py. */
struct shared {
    /* Templates first to first + count - 1 are sent; a count of 0: all. Written from outside, read
     * where a queue has come to the end of its window. */
    volatile uint64_t first, count;
    struct queue_counters queues[MAX_QUEUES];
} __rte_aligned(128);

struct source;
struct source_queue {
    struct source* source;
    struct rte_mempool* pool;
    uint32_t next, end;
    struct queue_counters* counters;
} __rte_cache_aligned;

struct source {
    uint8_t* frames; /* `count` of `size` bytes, in a mapping of its own, on huge pages if it can be */
    size_t mapped;
    uint16_t* lengths; /* of each frame, where they differ */
    uint16_t longest;
    uint32_t count;
    uint32_t size;
    uint32_t packet_type;
    uint16_t port;
    bool silent;
    struct shared* shared; /* the file, or memory of our own */
    FILE* capture;         /* until the burst is written */
    struct rte_ether_addr mac;
    struct source_queue queues[MAX_QUEUES];
};

/* So late that an application that is still being set up has settled. */
static const uint64_t capture_after = 1000000;

/* At the end of a window: the next one, from its first template. */
static void take_window(struct source_queue* queue) {
    const struct source* source = queue->source;
    const uint64_t first = source->shared->first, count = source->shared->count;
    const bool good = count != 0 && first < source->count && count <= source->count - first;
    queue->next = good ? (uint32_t)first : 0;
    queue->end = good ? (uint32_t)(first + count) : source->count;
}

static uint16_t source_receive(void* from, struct rte_mbuf** packets, uint16_t wanted) {
    struct source_queue* queue = from;
    const struct source* source = queue->source;
    if (unlikely(source->silent)) return 0;
    if (unlikely(rte_pktmbuf_alloc_bulk(queue->pool, packets, wanted) != 0)) return 0;
    const uint32_t size = source->size;
    const uint16_t* lengths = source->lengths;
    uint32_t next = queue->next, end = queue->end;
    for (uint16_t i = 0; i < wanted; ++i) {
        struct rte_mbuf* packet = packets[i];
        rte_memcpy(rte_pktmbuf_mtod(packet, void*), source->frames + (size_t)next * size, size);
        const uint16_t length = lengths != NULL ? lengths[next] : source->longest;
        packet->packet_type = source->packet_type;
        packet->pkt_len = length;
        packet->data_len = length;
        packet->port = source->port;
        if (unlikely(++next == end)) {
            take_window(queue);
            next = queue->next, end = queue->end;
        }
    }
    queue->next = next;
    queue->counters->received += wanted;
    return wanted;
}

/* By the first queue that gets here. */
static void write_capture(struct source* source, struct rte_mbuf** packets, uint16_t count) {
    FILE* capture = __atomic_exchange_n(&source->capture, NULL, __ATOMIC_ACQ_REL);
    if (capture == NULL) return;
    const uint32_t file_header[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, UINT16_MAX, 1 /* Ethernet */};
    fwrite(file_header, sizeof file_header, 1, capture);
    for (uint16_t i = 0; i < count; ++i) {
        const uint32_t length = packets[i]->data_len;
        const uint32_t header[4] = {0, 0, length, length};
        fwrite(header, sizeof header, 1, capture);
        fwrite(rte_pktmbuf_mtod(packets[i], const void*), length, 1, capture);
    }
    fclose(capture);
}

static uint16_t source_send(void* to, struct rte_mbuf** packets, uint16_t count) {
    struct source_queue* queue = to;
    struct source* source = queue->source;
    if (unlikely(source->capture != NULL && queue->counters->sent >= capture_after && count != 0)) {
        write_capture(source, packets, count);
    }
    rte_pktmbuf_free_bulk(packets, count);
    queue->counters->sent += count;
    return count;
}

static int source_configure(struct rte_eth_dev* device) {
    (void)device;
    return 0;
}

static int source_start(struct rte_eth_dev* device) {
    device->data->dev_link.link_status = RTE_ETH_LINK_UP;
    return 0;
}

static int source_stop(struct rte_eth_dev* device) {
    device->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
    return 0;
}

static void empty_source(struct source* source) {
    if (source->frames != NULL) munmap(source->frames, source->mapped);
    source->frames = NULL;
    free(source->lengths);
    source->lengths = NULL;
    if (source->shared != NULL) munmap(source->shared, sizeof(struct shared));
    source->shared = NULL;
    if (source->capture != NULL) fclose(source->capture);
    source->capture = NULL;
}

static int source_close(struct rte_eth_dev* device) {
    struct source* source = device->data->dev_private;
    empty_source(source);
    device->data->mac_addrs = NULL; /* inside dev_private, which ethdev frees */
    return 0;
}

static int source_info(struct rte_eth_dev* device, struct rte_eth_dev_info* info) {
    (void)device;
    info->max_rx_queues = MAX_QUEUES;
    info->max_tx_queues = MAX_QUEUES;
    info->max_mac_addrs = 1;
    info->max_rx_pktlen = UINT16_MAX;
    info->max_mtu = UINT16_MAX - RTE_ETHER_HDR_LEN;
    info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    return 0;
}

static int source_receive_queue(struct rte_eth_dev* device, uint16_t queue, uint16_t descriptors,
                                unsigned int socket, const struct rte_eth_rxconf* config,
                                struct rte_mempool* pool) {
    struct source* source = device->data->dev_private;
    const uint32_t needed = RTE_MAX(source->size, source->longest);
    (void)descriptors, (void)socket, (void)config;
    if (rte_pktmbuf_data_room_size(pool) < RTE_PKTMBUF_HEADROOM + needed) {
        SOURCE_ERROR("the pool's buffers are too small for frames of %u bytes\n", needed);
        return -EINVAL;
    }
    source->port = device->data->port_id;
    source->queues[queue].pool = pool;
    device->data->rx_queues[queue] = &source->queues[queue];
    return 0;
}

static int source_send_queue(struct rte_eth_dev* device, uint16_t queue, uint16_t descriptors,
                             unsigned int socket, const struct rte_eth_txconf* config) {
    struct source* source = device->data->dev_private;
    (void)descriptors, (void)socket, (void)config;
    device->data->tx_queues[queue] = &source->queues[queue];
    return 0;
}

static int source_link_update(struct rte_eth_dev* device, int wait) {
    (void)device, (void)wait;
    return 0;
}

static int source_statistics(struct rte_eth_dev* device, struct rte_eth_stats* statistics) {
    const struct source* source = device->data->dev_private;
    for (unsigned int i = 0; i < MAX_QUEUES; ++i) {
        statistics->ipackets += source->queues[i].counters->received;
        statistics->opackets += source->queues[i].counters->sent;
    }
    if (source->lengths == NULL) statistics->ibytes = statistics->ipackets * source->longest;
    return 0;
}

static const uint32_t* source_packet_types(struct rte_eth_dev* device) {
    static const uint32_t types[] = {RTE_PTYPE_L3_IPV4, RTE_PTYPE_L3_IPV6, RTE_PTYPE_UNKNOWN};
    (void)device;
    return types;
}

static int source_nothing(struct rte_eth_dev* device) {
    (void)device;
    return 0;
}

static int source_set_mac(struct rte_eth_dev* device, struct rte_ether_addr* address) {
    (void)device, (void)address;
    return 0;
}

static int source_set_mtu(struct rte_eth_dev* device, uint16_t mtu) {
    (void)device, (void)mtu;
    return 0;
}

static const struct eth_dev_ops source_operations = {
    .dev_configure = source_configure,
    .dev_start = source_start,
    .dev_stop = source_stop,
    .dev_close = source_close,
    .dev_infos_get = source_info,
    .rx_queue_setup = source_receive_queue,
    .tx_queue_setup = source_send_queue,
    .link_update = source_link_update,
    .stats_get = source_statistics,
    .dev_supported_ptypes_get = source_packet_types,
    .promiscuous_enable = source_nothing,
    .promiscuous_disable = source_nothing,
    .allmulticast_enable = source_nothing,
    .allmulticast_disable = source_nothing,
    .mac_addr_set = source_set_mac,
    .mtu_set = source_set_mtu,
};

static void put16(uint8_t* at, unsigned int value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* One UDP frame to 198.18.0.0 + number, from 198.19.0.1 (RFC 2544's block, RFC 6890). */
static void generate_frame(uint8_t* frame, uint32_t size, uint32_t number) {
    static const uint8_t head[34] = {
        0x02, 0, 0, 0, 0, 1, 0x02, 0, 0,  0,  0, 2, 0x08, 0x00, /* Ethernet */
        0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 198,  19,
        0,    1}; /* IPv4, without destination */
    uint32_t sum = 0;
    memset(frame, 0, size);
    memcpy(frame, head, sizeof head);
    put16(frame + 16, size - 14);
    put16(frame + 30, 198u << 8 | 18u);
    put16(frame + 32, number & 0xffff);
    for (unsigned int i = 14; i < 34; i += 2) sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    put16(frame + 24, ~sum & 0xffff);
    put16(frame + 34, 1024 + (number >> 16)); /* source port */
    put16(frame + 36, 9);                     /* discard */
    put16(frame + 38, size - 34);
}

/* Memory for `count` templates: a mapping of its own, so that it takes none of the application's. */
static int map_frames(struct source* source, uint64_t count) {
    const size_t page = (size_t)2 << 20;
    if (count == 0 || count > UINT32_MAX) return -EINVAL;
    source->count = (uint32_t)count;
    source->mapped = RTE_ALIGN_CEIL(count * source->size, page);
    void* mapping = mmap(NULL, source->mapped, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return -ENOMEM;
    madvise(mapping, source->mapped, MADV_HUGEPAGE); /* a wish */
    source->frames = mapping;
    return 0;
}

static int load_template(struct source* source, const char* path) {
    int result = -EINVAL;
    struct stat status;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0) {
        SOURCE_ERROR("cannot open the template %s: %s\n", path, strerror(errno));
    } else if (status.st_size == 0 || status.st_size % source->size != 0) {
        SOURCE_ERROR("the template %s is not a number of frames of %u bytes\n", path, source->size);
    } else {
        const size_t bytes = (size_t)status.st_size;
        result = map_frames(source, bytes / source->size);
        for (size_t at = 0; result == 0 && at < bytes;) {
            const ssize_t got = read(file, source->frames + at, bytes - at);
            if (got <= 0) result = -EIO;
            if (got > 0) at += (size_t)got;
        }
    }
    if (file >= 0) close(file);
    return result;
}

static int generate(struct source* source, uint64_t flows) {
    if (flows == 0 || flows > (1u << 24)) {
        SOURCE_ERROR("flows is 1 to %u\n", 1u << 24);
        return -EINVAL;
    }
    const int result = map_frames(source, flows);
    for (uint32_t i = 0; result == 0 && i < source->count; ++i) {
        generate_frame(source->frames + (size_t)i * source->size, source->size, i);
    }
    return result;
}

static unsigned int get16(const uint8_t* at) {
    return (unsigned int)at[0] << 8 | at[1];
}

static bool is_tag(unsigned int type) {
    return type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ;
}

/* As its IP header says; 0 where there is none. */
static uint32_t length_of(const uint8_t* frame, uint32_t* packet_type) {
    uint32_t ip = 14;
    while (is_tag(get16(frame + ip - 2)) && ip < 22) ip += 4;
    switch (get16(frame + ip - 2)) {
        case RTE_ETHER_TYPE_IPV4:
            *packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4;
            return ip + get16(frame + ip + 2);
        case RTE_ETHER_TYPE_IPV6:
            *packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV6;
            return ip + 40 + get16(frame + ip + 4);
        default:
            return 0;
    }
}

static int measure_frames(struct source* source) {
    source->lengths = malloc(source->count * sizeof(uint16_t));
    if (source->lengths == NULL) return -ENOMEM;
    bool alike = true;
    for (uint32_t i = source->count; i-- > 0;) {
        const uint32_t length =
            length_of(source->frames + (size_t)i * source->size, &source->packet_type);
        if (length == 0 || length > UINT16_MAX) {
            SOURCE_ERROR("template %u has no IP header with a length\n", i);
            return -EINVAL;
        }
        source->lengths[i] = (uint16_t)RTE_MAX(length, 60u);
        alike = alike && source->lengths[i] == source->lengths[source->count - 1];
        source->longest = RTE_MAX(source->longest, source->lengths[i]);
    }
    if (alike) {
        free(source->lengths);
        source->lengths = NULL;
    }
    return 0;
}

/* Without a path: memory of our own. */
static int map_counters(struct source* source, const char* path) {
    int file = -1;
    if (path != NULL) {
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        if (file < 0 || ftruncate(file, sizeof(struct shared)) != 0) {
            SOURCE_ERROR("cannot make the counters %s: %s\n", path, strerror(errno));
            if (file >= 0) close(file);
            return -EINVAL;
        }
    }
    void* mapping = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                         file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (mapping == MAP_FAILED) return -ENOMEM;
    source->shared = mapping;
    for (unsigned int i = 0; i < MAX_QUEUES; ++i) {
        struct source_queue* queue = &source->queues[i];
        queue->source = source;
        queue->counters = &source->shared->queues[i];
        take_window(queue);
    }
    return 0;
}

static int take_number(const char* key, const char* value, void* out) {
    char* end = NULL;
    errno = 0;
    *(uint64_t*)out = strtoull(value, &end, 10);
    if (errno == 0 && end != value && *end == '\0') return 0;
    SOURCE_ERROR("%s=%s is not a number\n", key, value);
    return -EINVAL;
}

static int take_text(const char* key, const char* value, void* out) {
    (void)key;
    *(char**)out = strdup(value);
    return *(char**)out == NULL ? -ENOMEM : 0;
}

static int parse_arguments(const char* text, struct source_arguments* arguments) {
    static const char* const keys[] = {"flows",    "size",    "silent", "template",
                                       "counters", "capture", NULL};
    if (text == NULL || *text == '\0') return 0;
    struct rte_kvargs* list = rte_kvargs_parse(text, keys);
    if (list == NULL) {
        SOURCE_ERROR("cannot read the arguments \"%s\"\n", text);
        return -EINVAL;
    }
    int result = rte_kvargs_process(list, "flows", take_number, &arguments->flows);
    if (result >= 0) result = rte_kvargs_process(list, "size", take_number, &arguments->size);
    if (result >= 0) result = rte_kvargs_process(list, "silent", take_number, &arguments->silent);
    if (result >= 0) {
        result = rte_kvargs_process(list, "template", take_text, &arguments->template_path);
    }
    if (result >= 0) {
        result = rte_kvargs_process(list, "counters", take_text, &arguments->counters_path);
    }
    if (result >= 0) {
        result = rte_kvargs_process(list, "capture", take_text, &arguments->capture_path);
    }
    rte_kvargs_free(list);
    return result < 0 ? -EINVAL : 0;
}

static int fill_source(struct source* source, const struct source_arguments* arguments) {
    if (arguments->size < 64 || arguments->size > 8192 || arguments->size % 64 != 0) {
        SOURCE_ERROR("size is a multiple of 64 up to 8192\n");
        return -EINVAL;
    }
    source->size = (uint32_t)arguments->size;
    source->silent = arguments->silent != 0;
    int result = arguments->template_path != NULL ? load_template(source, arguments->template_path)
                                                  : generate(source, arguments->flows);
    if (result == 0) result = measure_frames(source);
    if (result == 0) result = map_counters(source, arguments->counters_path);
    if (result == 0 && arguments->capture_path != NULL) {
        source->capture = fopen(arguments->capture_path, "wbe");
        if (source->capture == NULL) {
            SOURCE_ERROR("cannot make the capture %s: %s\n", arguments->capture_path,
                         strerror(errno));
            result = -EINVAL;
        }
    }
    return result;
}

static int source_probe(struct rte_vdev_device* device) {
    struct source_arguments arguments = {.flows = 1, .size = 64};
    struct rte_eth_dev* ethernet = NULL;
    int result = parse_arguments(rte_vdev_device_args(device), &arguments);
    if (result == 0) {
        ethernet = rte_eth_vdev_allocate(device, sizeof(struct source));
        if (ethernet == NULL) result = -ENOMEM;
    }
    if (result == 0) result = fill_source(ethernet->data->dev_private, &arguments);
    free(arguments.template_path);
    free(arguments.counters_path);
    free(arguments.capture_path);
    if (result != 0) {
        if (ethernet != NULL) {
            empty_source(ethernet->data->dev_private);
            rte_eth_dev_release_port(ethernet);
        }
        return result;
    }
    struct source* source = ethernet->data->dev_private;
    source->mac = (struct rte_ether_addr){{0x02, 0, 0, 0, 0, 1}};
    ethernet->data->mac_addrs = &source->mac;
    ethernet->data->dev_link = (struct rte_eth_link){.link_speed = RTE_ETH_SPEED_NUM_100G,
                                                     .link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
                                                     .link_status = RTE_ETH_LINK_DOWN,
                                                     .link_autoneg = RTE_ETH_LINK_FIXED};
    ethernet->dev_ops = &source_operations;
    ethernet->rx_pkt_burst = source_receive;
    ethernet->tx_pkt_burst = source_send;
    rte_eth_dev_probing_finish(ethernet);
    return 0;
}

static int source_remove(struct rte_vdev_device* device) {
    struct rte_eth_dev* ethernet = rte_eth_dev_allocated(rte_vdev_device_name(device));
    if (ethernet == NULL) return 0;
    source_close(ethernet);
    return rte_eth_dev_release_port(ethernet);
}

static struct rte_vdev_driver source_driver = {.probe = source_probe, .remove = source_remove};

RTE_PMD_REGISTER_VDEV(net_wye_source, source_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_wye_source,
                              "flows=<int> size=<int> silent=<0|1> template=<path> "
                              "counters=<path> capture=<path>");
