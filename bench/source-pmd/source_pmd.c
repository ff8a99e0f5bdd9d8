/* net_wye_source: a DPDK port without a NIC, for measuring one core.
 *
 * Receiving allocates a buffer and copies the next of a list of ready-made frames into it; sending
 * frees. So what is measured through it is the application, buffers included, and little else. It
 * loads into any DPDK application (EAL option -d), so that all are measured alike:
 *
 *   --vdev=net_wye_source0,flows=64,size=64
 *   --vdev=net_wye_source0,template=FILE,size=64,counters=FILE2
 *
 * flows     how many frames the built-in generator makes (UDP to 198.18.x.y, a power of two wraps
 *           cheapest), default 1
 * size      bytes of a frame, a multiple of 64, default 64
 * template  file of frames of `size` bytes, one after the other, instead of the generator
 * counters  file into which {received, sent} are written as two 64-bit words, to be sampled from
 *           outside while the application runs
 * capture   pcap file for one burst of what is sent, after the first million: to see that the
 *           application does what it is measured at
 *
 * One queue pair, used by one thread. No interrupts, no offloads.
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

struct source_arguments {
    uint64_t flows;
    uint64_t size;
    char* template_path;
    char* counters_path;
    char* capture_path;
};

struct source {
    uint8_t* frames; /* `count` of `size` bytes, cache-line aligned */
    uint32_t count;
    uint32_t size;
    uint32_t next;
    uint16_t port;
    struct rte_mempool* pool;
    volatile uint64_t* counters; /* received, sent: in the shared file, or in `own_counters` */
    uint64_t own_counters[2];
    FILE* capture; /* until the burst is written */
    struct rte_ether_addr mac;
};

/* So late that an application that is still being set up has settled. */
static const uint64_t capture_after = 1000000;

static uint16_t source_receive(void* queue, struct rte_mbuf** packets, uint16_t wanted) {
    struct source* source = queue;
    if (unlikely(rte_pktmbuf_alloc_bulk(source->pool, packets, wanted) != 0)) return 0;
    const uint32_t size = source->size;
    uint32_t next = source->next;
    for (uint16_t i = 0; i < wanted; ++i) {
        struct rte_mbuf* packet = packets[i];
        rte_memcpy(rte_pktmbuf_mtod(packet, void*), source->frames + (size_t)next * size, size);
        packet->pkt_len = size;
        packet->data_len = (uint16_t)size;
        packet->port = source->port;
        if (unlikely(++next == source->count)) next = 0;
    }
    source->next = next;
    source->counters[0] += wanted;
    return wanted;
}

static void write_capture(struct source* source, struct rte_mbuf** packets, uint16_t count) {
    const uint32_t file_header[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, UINT16_MAX, 1 /* Ethernet */};
    fwrite(file_header, sizeof file_header, 1, source->capture);
    for (uint16_t i = 0; i < count; ++i) {
        const uint32_t length = packets[i]->data_len;
        const uint32_t header[4] = {0, 0, length, length};
        fwrite(header, sizeof header, 1, source->capture);
        fwrite(rte_pktmbuf_mtod(packets[i], const void*), length, 1, source->capture);
    }
    fclose(source->capture);
    source->capture = NULL;
}

static uint16_t source_send(void* queue, struct rte_mbuf** packets, uint16_t count) {
    struct source* source = queue;
    if (unlikely(source->capture != NULL && source->counters[1] >= capture_after)) {
        write_capture(source, packets, count);
    }
    rte_pktmbuf_free_bulk(packets, count);
    source->counters[1] += count;
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

static int source_close(struct rte_eth_dev* device) {
    struct source* source = device->data->dev_private;
    rte_free(source->frames);
    source->frames = NULL;
    if (source->counters != source->own_counters) {
        munmap((void*)(uintptr_t)source->counters, 2 * sizeof(uint64_t));
        source->counters = source->own_counters;
    }
    if (source->capture != NULL) fclose(source->capture);
    source->capture = NULL;
    device->data->mac_addrs = NULL; /* inside dev_private, which ethdev frees */
    return 0;
}

static int source_info(struct rte_eth_dev* device, struct rte_eth_dev_info* info) {
    (void)device;
    info->max_rx_queues = 1;
    info->max_tx_queues = 1;
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
    (void)queue, (void)descriptors, (void)socket, (void)config;
    if (rte_pktmbuf_data_room_size(pool) < RTE_PKTMBUF_HEADROOM + source->size) {
        SOURCE_ERROR("the pool's buffers are too small for frames of %u bytes\n", source->size);
        return -EINVAL;
    }
    source->pool = pool;
    source->port = device->data->port_id;
    device->data->rx_queues[0] = source;
    return 0;
}

static int source_send_queue(struct rte_eth_dev* device, uint16_t queue, uint16_t descriptors,
                             unsigned int socket, const struct rte_eth_txconf* config) {
    (void)queue, (void)descriptors, (void)socket, (void)config;
    device->data->tx_queues[0] = device->data->dev_private;
    return 0;
}

static int source_link_update(struct rte_eth_dev* device, int wait) {
    (void)device, (void)wait;
    return 0;
}

static int source_statistics(struct rte_eth_dev* device, struct rte_eth_stats* statistics) {
    const struct source* source = device->data->dev_private;
    statistics->ipackets = source->counters[0];
    statistics->opackets = source->counters[1];
    statistics->ibytes = statistics->ipackets * source->size;
    return 0;
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

static int load_template(struct source* source, const char* path) {
    int result = -EINVAL;
    struct stat status;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0) {
        SOURCE_ERROR("cannot open the template %s: %s\n", path, strerror(errno));
    } else if (status.st_size == 0 || status.st_size % source->size != 0 ||
               (uint64_t)status.st_size / source->size > UINT32_MAX) {
        SOURCE_ERROR("the template %s is not a number of frames of %u bytes\n", path, source->size);
    } else {
        const size_t bytes = (size_t)status.st_size;
        source->count = (uint32_t)(bytes / source->size);
        source->frames = rte_malloc("wye_source", bytes, RTE_CACHE_LINE_SIZE);
        result = source->frames == NULL ? -ENOMEM : 0;
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
    source->count = (uint32_t)flows;
    source->frames = rte_malloc("wye_source", flows * source->size, RTE_CACHE_LINE_SIZE);
    if (source->frames == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < source->count; ++i) {
        generate_frame(source->frames + (size_t)i * source->size, source->size, i);
    }
    return 0;
}

static int share_counters(struct source* source, const char* path) {
    const size_t bytes = 2 * sizeof(uint64_t);
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (file < 0 || ftruncate(file, (off_t)bytes) != 0) {
        SOURCE_ERROR("cannot make the counters %s: %s\n", path, strerror(errno));
        if (file >= 0) close(file);
        return -EINVAL;
    }
    void* mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapping == MAP_FAILED) return -ENOMEM;
    source->counters = mapping;
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
    static const char* const keys[] = {"flows", "size", "template", "counters", "capture", NULL};
    if (text == NULL || *text == '\0') return 0;
    struct rte_kvargs* list = rte_kvargs_parse(text, keys);
    if (list == NULL) {
        SOURCE_ERROR("cannot read the arguments \"%s\"\n", text);
        return -EINVAL;
    }
    int result = rte_kvargs_process(list, "flows", take_number, &arguments->flows);
    if (result >= 0) result = rte_kvargs_process(list, "size", take_number, &arguments->size);
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
    source->counters = source->own_counters;
    int result = arguments->template_path != NULL ? load_template(source, arguments->template_path)
                                                  : generate(source, arguments->flows);
    if (result == 0 && arguments->counters_path != NULL) {
        result = share_counters(source, arguments->counters_path);
    }
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
            rte_free(((struct source*)ethernet->data->dev_private)->frames);
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
                              "flows=<int> size=<int> template=<path> counters=<path> "
                              "capture=<path>");
