-- Decapsulation: tunnelled frames of several VNIs from the file that Pktgen was given by -s, which
-- bench/pktgen/make_traffic wrote ("vxlan" or "geneve").
package.path = package.path .. ";" .. (os.getenv("WYE_LUA") or "bench/pktgen/lua") .. "/?.lua"
local wye = require("wye")

wye.prepare()
pktgen.pcap(wye.send, "on")
wye.run("decapsulation")
pktgen.pcap(wye.send, "off")
