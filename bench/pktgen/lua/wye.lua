-- What the scripts beside this one share: settings from the environment, one run, its counters.
local wye = {}

local function setting(name, default)
    return os.getenv("WYE_" .. name) or default
end

local function number(name, default)
    local text = setting(name, default)
    return tonumber(text) or error("WYE_" .. name .. " should be a number, not " .. text)
end

wye.send = setting("SEND_PORT", "0")           -- Pktgen's numbers of its ports
wye.receive = setting("RECEIVE_PORT", "1")
wye.router_mac = setting("ROUTER_MAC", "02:00:00:00:00:01")
wye.host_mac = setting("HOST_MAC", "02:00:00:00:00:02")
wye.source = setting("SOURCE", "198.18.0.10")  -- RFC 2544's addresses for benchmarks
wye.destination = setting("DESTINATION", "198.19.0.10")
wye.prefix_length = number("PREFIX_LENGTH", 24)
wye.size = number("SIZE", 64)                  -- bytes, with the frame check sequence
wye.rate = number("RATE", 100)                 -- percent of the link's speed
wye.seconds = number("SECONDS", 60)            -- RFC 2544: trials of 60 s at least

-- Nothing is sent and nothing is left of what was sent before.
function wye.prepare()
    pktgen.screen("off")
    pktgen.stop(wye.send)
    pktgen.set(wye.send, "count", 0)           -- until it is stopped
    pktgen.set(wye.send, "rate", wye.rate)
    pktgen.clr()
end

-- Entry `slot` (0 to 15) of the sequence: one UDP flow, frames of `size` bytes.
function wye.sequence(slot, size, source_port)
    pktgen.seqTable(slot, wye.send, {
        eth_dst_addr = wye.router_mac,
        eth_src_addr = wye.host_mac,
        ip_dst_addr = wye.destination,
        ip_src_addr = wye.source .. "/" .. wye.prefix_length,
        sport = source_port,
        dport = 443,
        ethType = "ipv4",
        ipProto = "udp",
        vlanid = 1,                            -- written only where tagging is on
        pktSize = size,
    })
end

-- The number that a port has in the tables that Pktgen returns.
function wye.index(port)
    return tonumber(port)
end

-- Sends for WYE_SECONDS, waits for what is on its way, prints what was lost.
function wye.run(what, during)
    pktgen.start(wye.send)
    if during then
        during(wye.seconds)
    else
        pktgen.delay(wye.seconds * 1000)
    end
    pktgen.stop(wye.send)
    pktgen.delay(2000)                         -- RFC 2544 §23: two seconds for residual frames
    local sent = pktgen.portStats(wye.send, "port")[wye.index(wye.send)].opackets
    local received = pktgen.portStats(wye.receive, "port")[wye.index(wye.receive)].ipackets
    local lost = sent - received
    print(string.format("%s: sent %d frames in %d s, received %d, lost %d (%.4f %%)", what, sent,
        wye.seconds, received, lost, sent > 0 and 100 * lost / sent or 0))
end

return wye
