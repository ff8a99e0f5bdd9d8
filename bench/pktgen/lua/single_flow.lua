-- One UDP flow of frames of one size: every packet of it takes the same way through the router, so
-- with several queues one worker does all the work.
package.path = package.path .. ";" .. (os.getenv("WYE_LUA") or "bench/pktgen/lua") .. "/?.lua"
local wye = require("wye")

wye.prepare()
wye.sequence(0, wye.size, 1024)
pktgen.set(wye.send, "seq_cnt", 1)
wye.run("single flow")
