-- cbufd_host_aggregator: many senders' changes side by side.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal, raises = harness.test, harness.equal, harness.raises

local SCRIPT = "lua_filters/cbufd_host_aggregator.lua"
local HEADER = filters.header(0, 3, 60, { { "Requests" }, { "Max", "ms", "max" } })
local DELTA = HEADER .. "0\t5\tnan\n60\t2\t9\n"
local OPTIONS = '{"options":{"stackedGraph":true,"fillGraph":true}}\n'

local function load(config, options)
    config = config or {}
    config.max_hosts, config.rows = config.max_hosts or 2, config.rows or 2
    return harness.load(SCRIPT, config, options)
end

local function send(filter, host, text, seconds, name)
    return filter:process {
        Payload = text, Hostname = host, Timestamp = (seconds or 60) * 1e9,
        Fields = { payload_type = "cbufd", payload_name = name or "Req" },
    }
end

local function graph(hosts, unit, aggregation, rows)
    local columns = {}
    for i, host in ipairs(hosts) do columns[i] = { host, unit, aggregation } end
    return OPTIONS .. filters.cbuf(0, 60, columns, rows)
end

test("each column has a graph with a column for each host", function()
    local filter = load()
    equal(send(filter, "hostA", DELTA), 0)
    equal(send(filter, "hostA", DELTA), 0)
    local hosts = { "hostA", "Column_2" }
    equal(filters.tick(filter, 0), {
        { "cbuf", "Req (Requests)", graph(hosts, "count", "sum", { "10 nan", "4 nan" }) },
        { "cbuf", "Req (Max)", graph(hosts, "ms", "max", { "nan nan", "9 nan" }) },
    })
    equal(send(filter, "hostB", DELTA), 0)
    hosts[2] = "hostB"
    equal(filters.tick(filter, 0), {
        { "cbuf", "Req (Requests)", graph(hosts, "count", "sum", { "10 5", "4 2" }) },
        { "cbuf", "Req (Max)", graph(hosts, "ms", "max", { "nan nan", "9 9" }) },
    })
end)

test("a graph that comes later knows the hosts", function()
    local filter = load()
    send(filter, "hostA", DELTA)
    send(filter, "hostB", filters.header(0, 3, 60, { { "Late" } }) .. "0\t1\n", nil, "New")
    local late
    for _, output in ipairs(filters.tick(filter, 0)) do
        if output[2] == "New (Late)" then late = output[3] end
    end
    equal(late, graph({ "hostA", "hostB" }, "count", "sum", { "nan 1", "nan nan" }))
end)

test("the column of the host that was silent longest is taken over", function()
    local filter = load { host_expiration = 100 }
    send(filter, "hostA", DELTA, 200)
    send(filter, "hostB", DELTA, 100)
    send(filter, "hostB", DELTA, 90)
    equal(send(filter, "hostC", HEADER .. "0\t1\tnan\n", 300), 0)
    equal(filters.tick(filter, 0)[1][3], graph({ "hostA", "hostC" }, "count", "sum", { "5 11", "2 4" }))
    equal(send(filter, "hostB", HEADER .. "0\t1\tnan\n", 300), 0)
    equal(filters.tick(filter, 0)[1][3], graph({ "hostB", "hostC" }, "count", "sum", { "6 11", "2 4" }))
end)

test("without an expired host the filter ends", function()
    local filter = load { max_hosts = 1 }
    send(filter, "hostA", DELTA, 100)
    raises("The number of hosts exceeds the 'max_hosts' configuration", send, filter, "hostB", DELTA, 219)
    filter = load { max_hosts = 1 }
    send(filter, "hostA", DELTA, 100)
    equal(send(filter, "hostB", DELTA, 220), 0)
end)

test("columns without aggregation stay empty, and missing values do no harm", function()
    local filter = load()
    local header = filters.header(0, 2, 60, { { "None", "ms", "none" }, { "Min", "ms", "min" } })
    equal(send(filter, "hostA", header .. "0\t5\t4\t3\n60\t5\n"), 0)
    equal(send(filter, "hostA", header .. "0\t5\t6\n"), 0)
    equal(filters.tick(filter, 0), {
        { "cbuf", "Req (None)", graph({ "hostA", "Column_2" }, "ms", "none", { "nan nan", "nan nan" }) },
        { "cbuf", "Req (Min)", graph({ "hostA", "Column_2" }, "ms", "min", { "4 nan", "nan nan" }) },
    })
end)

test("what is no change fails and takes no column", function()
    local filter = load { max_hosts = 1 }
    equal(send(filter, "hostA", "x"), -1)
    equal(send(filter, "hostB", "{}\n0\t5\n"), -1)
    equal(send(filter, "hostC", '{"columns":1,"column_info":[{"name":"a"}]}\n0\t5\n'), -1)
    equal(send(filter, "hostD", DELTA), 0)
    equal(filters.tick(filter, 0)[1][3], graph({ "hostD" }, "count", "sum", { "5", "2" }))
end)

test("hosts and graphs survive a restart", function()
    local filter = load()
    send(filter, "hostA", DELTA)
    local restarted = load({}, { preserved = filter:preserved() })
    send(restarted, "hostB", DELTA)
    send(restarted, "hostA", DELTA)
    equal(filters.tick(restarted, 0)[1][3], graph({ "hostA", "hostB" }, "count", "sum", { "10 5", "4 2" }))
    equal(load({ preservation_version = 2 }).env._PRESERVATION_VERSION, 2)
    equal(restarted.env._PRESERVATION_VERSION, 0)
end)

test("max_hosts and rows must be configured", function()
    raises(": max_host configuration must be specified", harness.load, SCRIPT, { rows = 2 })
    raises(": rows configuration must be specified", harness.load, SCRIPT, { max_hosts = 2 })
end)

harness.finish()
