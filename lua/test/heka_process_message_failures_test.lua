-- heka_process_message_failures: alerts about failing plugins.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal
local cjson = require "cjson"

local SCRIPT = "lua_filters/heka_process_message_failures.lua"
local NOW = 1500000000
local ANY_DATA = 'roc("DEFAULT", 1, 2, 0, 9, true, true)'

local function load(config)
    return harness.load(SCRIPT, { anomaly_config = config })
end

--- A report with `failures`, a map of section -> plugin name -> count.
local function report(filter, seconds, failures)
    local processed = { value = 5, representation = "count" }
    local sections = { globals = { { Name = "Router", ProcessMessageCount = processed } } }
    for section, plugins in pairs(failures) do
        sections[section] = {}
        for name, count in pairs(plugins) do
            table.insert(sections[section], {
                Name = name, ProcessMessageFailures = count and { value = count, representation = "count" } or nil,
            })
        end
    end
    return filter:process { Type = "heka.all-report", Timestamp = seconds * 1e9, Payload = cjson.encode(sections) }
end

test("failures that begin raise an alert that names the plugin", function()
    local filter = load(ANY_DATA)
    equal(report(filter, NOW - 60, { decoders = { bad = 3, good = 0, plain = false } }), 0)
    equal(filters.tick(filter, NOW * 1e9), { { "alert", "", "bad - algorithm: roc col: 1 msg: unexpected data" } })
end)

test("no failures, no alert", function()
    local filter = load(ANY_DATA)
    report(filter, NOW - 60, { filters = { good = 0 }, outputs = { plain = false } })
    equal(filters.tick(filter, NOW * 1e9), {})
end)

test("all plugins with new failures stand in one alert", function()
    local filter = load(ANY_DATA)
    report(filter, NOW - 60, {
        inputs = { i = 1 }, decoders = { d = 1 }, filters = { f = 1 }, encoders = { e = 1 }, outputs = { o = 1 },
        splitters = { s = 1 },
    })
    local out = filters.tick(filter, NOW * 1e9)
    equal(#out, 1)
    local names = {}
    for line in (out[1][3] .. "\n"):gmatch("(.-)\n") do table.insert(names, line:match("^%w+")) end
    table.sort(names)
    equal(names, { "d", "e", "f", "i", "o" })
end)

test("a plugin is alerted once an hour", function()
    local filter = load 'roc("DEFAULT", 1, 2, 0, 9, true, true) mww("quiet", 1, 2, 3, 0, any)'
    local function minutes(from, to)
        local alerts = {}
        for minute = from, to do
            -- Failures come and go in turns of four minutes, so that there is always something to find.
            local count = minute % 8 < 4 and minute + 1 or 0
            report(filter, NOW + minute * 60, { filters = { bad = count, quiet = count } })
            for _, output in ipairs(filters.tick(filter, (NOW + minute * 60) * 1e9)) do
                for line in output[3]:gmatch("[^\n]+") do table.insert(alerts, minute .. line:match("^%a+")) end
            end
        end
        return alerts
    end
    local alerts = minutes(0, 120)
    equal(#alerts, 2)
    equal({ alerts[1]:match("%a+"), alerts[2]:match("%a+") }, { "bad", "bad" })
    equal(tonumber(alerts[2]:match("%d+")) - tonumber(alerts[1]:match("%d+")) > 60, true)
end)

test("plugins with the default settings are watched at the same tick", function()
    local filter = load(ANY_DATA)
    report(filter, NOW - 60, { filters = { a = 1, b = 1 } })
    local _, lines = filters.tick(filter, NOW * 1e9)[1][3]:gsub("unexpected data", "")
    equal(lines, 2)
end)

test("an hour is not enough, a second more is", function()
    local filter = load(ANY_DATA)
    report(filter, NOW - 60, { filters = { bad = 1 } })
    equal(#filters.tick(filter, NOW * 1e9), 1)
    report(filter, NOW + 3540, { filters = { bad = 1 } })
    equal(#filters.tick(filter, (NOW + 3600) * 1e9), 0)
    equal(#filters.tick(filter, (NOW + 3601) * 1e9), 1)
end)

test("settings of a plugin outlast its absence, what was counted does not", function()
    local filter = load 'mww("DEFAULT", 1, 2, 3, 0, any) roc("own", 1, 2, 0, 9, true, true)'
    report(filter, NOW - 180, { filters = { own = 1, other = 1 } })
    report(filter, NOW - 120, {})
    equal(filters.tick(filter, (NOW - 120) * 1e9), {})
    report(filter, NOW - 60, { filters = { own = 1, other = 1 } })
    equal(filters.tick(filter, NOW * 1e9), { { "alert", "", "own - algorithm: roc col: 1 msg: unexpected data" } })
end)

test("a plugin that left the report is forgotten", function()
    local filter = load(ANY_DATA)
    report(filter, NOW - 120, { decoders = { gone = 1, stays = 0 } })
    report(filter, NOW - 60, { decoders = { stays = 0 } })
    equal(filters.tick(filter, NOW * 1e9), {})
end)

test("the default detection finds a lasting rise", function()
    local filter = harness.load(SCRIPT)
    local alerts = {}
    for minute = 0, 70 do
        report(filter, NOW + minute * 60, { filters = { bad = minute > 50 and 100 * minute or 0 } })
        for _, output in ipairs(filters.tick(filter, (NOW + minute * 60) * 1e9)) do table.insert(alerts, output[3]) end
    end
    equal(#alerts, 1)
    equal(alerts[1]:match("^bad %- algorithm: mww_nonparametric col: 1 msg: detected anomaly, pstat: "),
        "bad - algorithm: mww_nonparametric col: 1 msg: detected anomaly, pstat: ")
end)

test("malformed reports fail", function()
    local filter = load(ANY_DATA)
    local function process(payload)
        local status, text = filter:process { Payload = payload, Timestamp = NOW * 1e9 }
        return { status, text }
    end
    equal(process "{", { -1 })
    equal(process "7", { -1 })
    equal(process '{"filters":[7]}', { -1, "invalid entry in section filters" })
    equal(process '{"outputs":[{"ProcessMessageFailures":{"value":1}}]}', { -1, "missing plugin Name" })
    equal(process '{"filters":7,"outputs":[{"Name":"a","ProcessMessageFailures":{"value":"1"}}]}', { 0 })
    equal(filters.tick(filter, NOW * 1e9), {})
end)

harness.finish()
