-- Latency under load: Pktgen's own probes beside one UDP flow of WYE_RATE percent. Each second a line
-- with what was measured since the start; the router must forward what comes to the receiving port.
package.path = package.path .. ";" .. (os.getenv("WYE_LUA") or "bench/pktgen/lua") .. "/?.lua"
local wye = require("wye")

local function watch(seconds)
    for second = 1, seconds do
        pktgen.delay(1000)
        local seen = pktgen.pktStats(wye.receive)[wye.index(wye.receive)].latency
        print(string.format("%d s: %d probes, %.1f us least, %.1f us mean, %.1f us most", second,
            seen.num_pkts, seen.min_us, seen.avg_us, seen.max_us))
    end
end

wye.prepare()
-- Probes are made of the port's single packet, not of a sequence.
pktgen.set(wye.send, "size", math.max(wye.size, 128))
pktgen.set(wye.send, "sport", 1024)
pktgen.set(wye.send, "dport", 443)
pktgen.set_type(wye.send, "ipv4")
pktgen.set_proto(wye.send, "udp")
pktgen.set_mac(wye.send, "dst", wye.router_mac)
pktgen.set_mac(wye.send, "src", wye.host_mac)
pktgen.set_ipaddr(wye.send, "dst", wye.destination)
pktgen.set_ipaddr(wye.send, "src", wye.source .. "/" .. wye.prefix_length)
pktgen.latency(wye.send, "enable")
pktgen.latency(wye.receive, "enable")
wye.run("latency", watch)
pktgen.latency(wye.send, "disable")
pktgen.latency(wye.receive, "disable")
