-- The modules that write texts of messages: cbufd, elasticsearch, field_util, graphite, msg_interpolate,
-- ts_line_protocol.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal, raises = harness.test, harness.equal, harness.raises

-- Runs a function of a script over a message and returns what it returns.
local function run(source, message)
    local filter = harness.load("f", {}, { source = source .. "\nfunction process_message() result = { run() } return 0 end" })
    filter:process(message or {})
    return unpack(filter.env.result, 1, 3)
end

test("deltas of circular buffers", function()
    local grammar = run 'local m = require "cbufd" function run() return m.grammar end'
    local t = grammar:match('{"h":1}\n60\t1.5\tnan\n0\t-2\t3\n')
    equal(t, { header = '{"h":1}', { time = 60e9, 1.5, 0 / 0 }, { time = 0, -2, 3 } })
    for _, bad in ipairs { "x", '{"h":1}\n', '{"h":1}\n60\tinf\n', '{"h":1}\n60\t1e3\n', '{"h":1}\n60\t1\n60\tx\n',
        '{"h":1}\n60\t1' } do
        equal(grammar:match(bad), nil, bad)
    end
end)

local WEB = { Type = "web", Timestamp = 1.5e18, Uuid = "ABCDEFGHIJKLMNOP", Hostname = "h", Logger = "l", Pid = 7,
    Severity = 3, EnvVersion = "e", Payload = "p",
    Fields = { code = 404, flag = false, text = "a", many = { "x", "y" } } }

local INTERPOLATE = 'local m = require "msg_interpolate"\nfunction run() return m.interpolate_from_msg(%q, %s) end'
local function interpolate(text, secs)
    return run(string.format(INTERPOLATE, text, tostring(secs)), WEB)
end

test("parts of a message in a text", function()
    equal({ interpolate("%{Type}.%{code}.%{flag}.%{missing}.%{Payload}.%{%Y.%m.%d}", 86400) },
        { "web.404.false.%{missing}.%{Payload}.1970.01.02", 6 })
    equal(interpolate("%{UUID} %{Hostname} %{Logger} %{Pid} %{Severity} %{EnvVersion} %{many}"),
        "41424344-4546-4748-494a-4b4c4d4e4f50 h l 7 3 e x")
    equal({ interpolate("%Y {x} %{}") }, { "%Y {x} %{}", 1 })
    equal(interpolate("%{Timestamp} %{Uuid}"), "%{Timestamp} %{Uuid}")
    equal(interpolate("%{%F}"), "2017-07-14")
    raises("invalid conversion specifier", interpolate, "%{%Q}")
end)

test("action lines", function()
    local source = 'local m = require "elasticsearch"\nfunction run() return m.bulkapi_index_json(%s) end'
    local function index(arguments) return run(string.format(source, arguments), WEB) end
    equal(index '"heka-%{%Y.%m.%d}", "%{Type}", "%{code}/1", 86400e9',
        [[{"index":{"_index":"heka-1970.01.02","_type":"web","_id":"404\/1"}}]])
    equal(index '"i", "t"', '{"index":{"_index":"i","_type":"t"}}')
    equal(index 'nil, nil, "%{nope}"', '{"index":{"_id":"%{nope}"}}')
    equal(index "", '{"index":{}}')
    equal(index '"%{%Y}"', '{"index":{"_index":"2017"}}')
end)

test("sets of fields", function()
    local m = run 'local m = require "field_util" function run() return m end'
    local base = { EnvVersion = true, Hostname = true, Logger = true, Payload = true, Pid = true, Severity = true,
        Type = true }
    equal(m.base_fields_list, base)
    equal(m.base_fields_tag_list, { Hostname = true, Logger = true, Severity = true, Type = true })
    equal({ m.field_map(nil) }, { base, true, false })
    equal({ m.field_map("") }, { base, true, false })
    equal({ m.field_map(" a  b ") }, { { a = true, b = true }, false, false })
    local set, all_base, all = m.field_map("a **all_base**")
    equal({ set.a, set.Type, set.Pid, all_base, all }, { true, true, true, true, false })
    set, all_base, all = m.field_map("**all**")
    equal({ set.Type, all_base, all }, { true, true, true })
    equal(m.used_base_fields { Type = true, x = true }, { Type = true })
end)

test("times in units", function()
    for precision, expected in pairs { ms = 5430900, s = 5430, m = 90, h = 1, x = 5430900 } do
        local source = 'local m = require "field_util" function run() return m.message_timestamp("' .. precision .. '") end'
        equal(run(source, { Timestamp = 5430.9009e9 }), expected, precision)
    end
end)

test("statistics for carbon", function()
    local m = run 'local m = require "graphite" function run() return m end'
    equal(m.count_rate("b", 10, 5, 100), "stats.counters.b.count 10 100\nstats.counters.b.rate 2.000000 100\n")
    equal(m.ns_to_sec(1.9e9), 1)
    equal(m.multi_counts_rates({ b = 10, a = 1 }, 5, 100), "stats.counters.a.count 1 100\n"
        .. "stats.counters.a.rate 0.200000 100\n" .. m.count_rate("b", 10, 5, 100))
    local times = { 9, 1, 2, 3, 4, 5, 6, 7, 8, 100 }
    local text = m.timeseries_metrics("b", times, 5, 90, 100)
    equal(times[10], 100)
    equal(text, "stats.timers.b.count 10 100\nstats.timers.b.count_ps 2.000000 100\n"
        .. "stats.timers.b.lower 1.000000 100\nstats.timers.b.upper 100.000000 100\n"
        .. "stats.timers.b.sum 145.000000 100\nstats.timers.b.mean 14.500000 100\n"
        .. "stats.timers.b.mean_90 5.000000 100\nstats.timers.b.upper_90 9.000000 100\n")
    equal(m.multi_timeseries_metrics({ b = times }, 5, 90, 100), text)
    local _, zeros = string.gsub(m.timeseries_metrics("b", {}, 5, 90, 100), " 0%.?0* 100\n", "")
    equal(zeros, 8)
end)

local function lines(kind, config, message)
    local filter = harness.load("f", {}, { source = 'local m = require "ts_line_protocol"\nfunction go(cfg, kind)'
        .. ' local c = m.set_config(cfg) run = function() return m[kind](c) end end\n'
        .. "function process_message() result = run() return 0 end" })
    filter.env.go(config, kind)
    filter:process(message)
    return filter.env.result
end

local STATS = { Timestamp = 54321e9, Hostname = "h", Type = "t", Fields = {
    { name = "1MinAvg", value = 0.12 }, { name = "foo.bar", value = { 5, 6, 7 } }, { name = "neg", value = -1 },
    { name = "1MinAvg", value = 3 }, { name = "yes", value = true }, { name = "ip", value = "1.2.3.4" } } }

test("lines for carbon", function()
    local config = { carbon_format = true, timestamp_precision = "s", name_prefix = "%{Hostname}.%{Type}",
        name_prefix_delimiter = "." }
    equal(lines("carbon_line_msg", config, STATS), { "h.t.1MinAvg 0.12 54321", "h.t.foo_bar 5 54321",
        "h.t.foo_bar_vidx_1 6 54321", "h.t.foo_bar_vidx_1_vidx_2 7 54321", "h.t.1MinAvg_fidx_1 3 54321",
        "h.t.ip 1.2.3.4 54321" })
    config.skip_fields_str = "foo_bar ip"
    equal(lines("carbon_line_msg", config, STATS), { "h.t.1MinAvg 0.12 54321", "h.t.1MinAvg_fidx_1 3 54321" })
    config = { carbon_format = true, timestamp_precision = "s", name_prefix = "a.b", source_value_field = "1MinAvg" }
    equal(lines("carbon_line_msg", config, STATS), { "a.b 3 54321" }, "the last one counts")
    equal(lines("carbon_line_msg", config, { Fields = {} }), {})
end)

test("lines for InfluxDB", function()
    local message = { Timestamp = 54321e9, Hostname = "h", Fields = {
        { name = "env", value = "de v" }, { name = "load", value = 0.11 } } }
    equal(lines("influxdb_line_msg", { tag_fields_str = "Hostname env", skip_fields_str = "env",
        timestamp_precision = "s" }, message), { [[load,Hostname=h,env=de\ v value=0.110000 54321]] })
    equal(lines("influxdb_line_msg", { tag_fields_str = "**all**" }, { Timestamp = 54321e9, Type = "t", Severity = 4,
        Hostname = "h", Fields = { a = 1 } }), { "a,Logger=,Type=t,Severity=4,Hostname=h,a=1 value=1.000000 54321000" })
    message = { Timestamp = 60e9, Fields = { { name = "resp time", value = 1.5 }, { name = "n", value = { 3, 0 / 0 } },
        { name = "s", value = { 'a "q"', "7" } }, { name = "b", value = false },
        { name = "i", value = 7, value_type = 2 }, { name = "inf", value = math.huge } } }
    equal(lines("influxdb_line_msg", { tag_fields_str = "x", decimal_precision = "1", value_field_key = "v",
        timestamp_precision = "m", name_prefix = "p, q", name_prefix_delimiter = "_" }, message), {
        [[p\,\ q_resp\ time v=1.5 1]], [[p\,\ q_n v=3.0 1]], [[p\,\ q_s v="a \"q\"" 1]], [[p\,\ q_s_vidx_1 v="7" 1]],
        [[p\,\ q_b v=false 1]], [[p\,\ q_i v=7.0 1]] })
end)

test("messages without fields make no lines", function()
    equal(lines("influxdb_line_msg", {}, {}), {})
    equal(lines("influxdb_line_msg", { skip_fields_str = "a" }, { Fields = { a = 1 } }), {})
end)

harness.finish()
