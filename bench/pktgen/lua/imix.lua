-- The Internet mix: a sequence of twelve frames, 7 of 64, 4 of 594, 1 of 1518 bytes, of as many flows.
package.path = package.path .. ";" .. (os.getenv("WYE_LUA") or "bench/pktgen/lua") .. "/?.lua"
local wye = require("wye")

-- The large ones spread evenly, so that a burst looks like the whole.
local sizes = {64, 594, 64, 64, 594, 64, 1518, 594, 64, 64, 594, 64}

wye.prepare()
for slot, size in ipairs(sizes) do
    wye.sequence(slot - 1, size, 1024 + slot)
end
pktgen.set(wye.send, "seq_cnt", #sizes)
wye.run("IMIX")
