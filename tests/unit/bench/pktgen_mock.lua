-- In place of Pktgen: its Lua interface as the table `api` describes it (generated from
-- bench/pktgen/api), strict: an unknown function, a wrong number or kind of arguments, an unknown key
-- of a table that is passed, or of one that is returned, is an error.
--   lua5.4 pktgen_mock.lua API_FILE CALLS_FILE SCRIPT…
-- Every call is written to CALLS_FILE as one line of JSON; the counters are those of a wire that
-- carries SPEED frames a second at rate 100 and loses one of a thousand. Without scripts, each line of
-- standard input is run, as over Pktgen's socket. Time passes by delay and sleep, and a second each time
-- that isSending is asked.
local api = dofile(arg[1])
local calls = assert(io.open(arg[2], "w"))
local SPEED = 1000000
local settings, sent_ms, sending = {rate = 100, count = 0}, 0, false
local checks = {}

local function json(value)
    if type(value) == "table" then
        local parts = {}
        if #value > 0 then
            for _, item in ipairs(value) do parts[#parts + 1] = json(item) end
            return "[" .. table.concat(parts, ",") .. "]"
        end
        for key, item in pairs(value) do parts[#parts + 1] = string.format("%q:%s", key, json(item)) end
        return "{" .. table.concat(parts, ",") .. "}"
    end
    return type(value) == "string" and string.format("%q", value) or tostring(value)
end

local function need(good, what, value)
    if not good then error(string.format("%s, not %s", what, tostring(value)), 0) end
end

local function ipv4(text)
    local parts = {tostring(text):match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")}
    if #parts ~= 4 then return false end
    for _, part in ipairs(parts) do if tonumber(part) > 255 then return false end end
    return true
end

function checks.portlist(value)
    local text = tostring(value)
    need((type(value) == "string" or math.type(value) == "integer") and
        (text == "all" or text:match("^%d[%d,-]*$")), "a list of ports", value)
end
function checks.state(value)
    need(value == "on" or value == "off" or value == "enable" or value == "disable",
        "on, off, enable or disable", value)
end
function checks.text(value) need(type(value) == "string", "a string", value) end
function checks.mac(value)
    local two, four = "%x%x", "%x%x%x%x"
    need(type(value) == "string" and (value:match("^" .. two .. (":" .. two):rep(5) .. "$") or
        value:match("^" .. four .. (":" .. four):rep(2) .. "$")), "a MAC address", value)
end
function checks.ipv4(value) need(ipv4(value), "an IPv4 address", value) end
checks["ipv4/length"] = function(value)
    local address, length = tostring(value):match("^(.*)/(%d+)$")
    need(address and ipv4(address) and tonumber(length) <= 32, "an IPv4 address with a length", value)
end
function checks.set(value) need(api.set[value], "something that can be set", value) end
function checks.sequence(value)
    need(type(value) == "table", "a table", value)
    for key, item in pairs(value) do
        need(api.sequence[key], "a key of a sequence", key)
        checks.any(api.sequence[key], item)
    end
    for key in pairs(api.sequence) do
        need(value[key] ~= nil or api.may_lack[key], "a sequence with " .. key, nil)
    end
end

-- What depends on the arguments before: the value of set, the address of set_ipaddr.
function checks.value(value, earlier) checks.any(api.set[earlier[2]], value) end
function checks.address(value, earlier)
    checks.any(earlier[2] == "src" and "ipv4/length" or "ipv4", value)
end

function checks.any(kind, value, earlier)
    if type(kind) == "string" then return checks[kind](value, earlier) end
    if kind.words then
        for _, word in ipairs(kind.words) do if word == value then return end end
        need(false, "one of " .. table.concat(kind.words, ", "), value)
    end
    need(math.type(value) == "integer" or kind.float and type(value) == "number", "a number", value)
    need(value >= kind.range[1] and value <= kind.range[2],
        string.format("from %d to %d", kind.range[1], kind.range[2]), value)
end

local function strict(values, what)
    return setmetatable({}, {
        __index = function(_, key)
            need(values[key] ~= nil, "a key of " .. what, key)
            return values[key]
        end,
        __newindex = function(_, key) need(false, "nothing written to " .. what, key) end,
    })
end

local counters = {num_pkts = 500, num_skipped = 0, min_us = 4.5, avg_us = 6.25, max_us = 31.0}
local function count(key)
    local sent = math.floor(SPEED * settings.rate / 100 * sent_ms / 1000)
    if settings.count > 0 then sent = math.min(sent, settings.count) end
    if key == "opackets" then return sent end
    return key == "ipackets" and sent - sent // 1000 or counters[key] or 0
end
local function build(shape, name)
    if shape == "number" then return count(name) end
    if shape == "text" then
        return sending and (settings.count == 0 or count("opackets") < settings.count) and "y" or "n"
    end
    local values = {}
    if shape.of_port then
        for port = 0, 1 do values[port] = build(shape.of_port, "a port") end
        return strict(values, "what it returns of a port")
    end
    for key, inner in pairs(shape) do values[key] = build(inner, key) end
    return strict(values, name)
end

local effects = {
    set = function(_, what, value) settings[what] = value end,
    start = function() sending = true end,
    stop = function() sending = false end,
    clr = function() sent_ms = 0 end,
    delay = function(ms) if sending then sent_ms = sent_ms + ms end end,
    isSending = function() if sending then sent_ms = sent_ms + 1000 end end,
    sleep = function(s) if sending then sent_ms = sent_ms + 1000 * s end end,
}

pktgen = setmetatable({}, {__index = function(_, name) need(false, "a function of Pktgen", name) end})
for name, kinds in pairs(api.functions) do
    rawset(pktgen, name, function(...)
        local values = {...}
        need(select("#", ...) == #kinds, string.format("%s with %d arguments", name, #kinds),
            select("#", ...))
        for place, kind in ipairs(kinds) do
            local good, why = pcall(checks.any, kind, values[place], values)
            if not good then error(string.format("%s, argument %d: %s", name, place, why), 2) end
        end
        calls:write(json({call = name, arguments = #values > 0 and values or nil}), "\n")
        if effects[name] then effects[name](...) end
        local shape = api.returns[name] or api.returns[name .. " " .. tostring(values[2])]
        if shape then return build(shape, name) end
    end)
end
function printf(format, ...) io.write(string.format(format, ...)) io.flush() end

if #arg > 2 then
    for place = 3, #arg do dofile(arg[place]) end
else
    for line in io.lines() do
        local code, why = load(line)
        local good
        if code then good, why = pcall(code) end
        if not good then io.stdout:write("error: ", tostring(why), "\n") end
        io.stdout:flush()
    end
end
