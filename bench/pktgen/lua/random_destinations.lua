-- Random addresses of the real table: the frames are those of the file that Pktgen was given by -s,
-- which bench/pktgen/make_traffic wrote ("table"). A sequence has 16 entries and a range one prefix:
-- only a file holds thousands of scattered addresses.
package.path = package.path .. ";" .. (os.getenv("WYE_LUA") or "bench/pktgen/lua") .. "/?.lua"
local wye = require("wye")

wye.prepare()
pktgen.pcap(wye.send, "on")
wye.run("random destinations")
pktgen.pcap(wye.send, "off")
