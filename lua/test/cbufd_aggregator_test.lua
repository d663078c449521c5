-- cbufd_aggregator: the sum of many senders' changes.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/cbufd_aggregator.lua"
local COLUMNS = { { "Requests" }, { "Max", "ms", "max" } }
local HEADER = filters.header(0, 3, 60, COLUMNS)

local function load(config, options)
    return harness.load(SCRIPT, config or {}, options)
end

local function send(filter, text, name)
    return filter:process { Payload = text, Fields = { payload_type = "cbufd", payload_name = name } }
end

local DELTA = HEADER .. "0\t5\tnan\n60\t2\t9\n"

test("sums are added and extremes kept", function()
    local filter = load { enable_delta = true }
    equal(send(filter, DELTA, "Req"), 0)
    equal(send(filter, DELTA, "Req"), 0)
    local graph = { "cbuf", "Req", filters.cbuf(0, 60, COLUMNS, { "10 nan", "4 9", "nan nan" }) }
    local out = filters.tick(filter, 0)
    equal(#out, 2)
    equal(out[1], graph)
    equal({ out[2][1], out[2][2], out[2][3]:sub(1, #HEADER) }, { "cbufd", "Req", HEADER })
    -- The order of the changed rows is free.
    local first, second = "0\t10\tnan\n", "60\t4\t9\n"
    local rows = out[2][3]:sub(#HEADER + 1)
    equal(rows == first .. second or rows == second .. first, true)
    -- The changes went out; the graph is still in its own form.
    equal(filters.tick(filter, 0), { graph })
end)

test("columns of minima and without aggregation", function()
    local columns = { { "Min", "ms", "min" }, { "None", "ms", "none" }, { "Sum" } }
    local filter = load()
    send(filter, filters.header(0, 2, 60, columns) .. "0\t5\t1\t-2\n", "x")
    send(filter, filters.header(0, 2, 60, columns) .. "0\t4\t1\t-2.5\n", "x")
    send(filter, filters.header(0, 2, 60, columns) .. "0\t6\t1\tnan\n", "x")
    equal(filters.tick(filter, 0), { { "cbuf", "x", filters.cbuf(0, 60, columns, { "4 nan -4.5", "nan nan nan" }) } })
end)

test("each payload_name has its graph, and the first header stays", function()
    local filter = load()
    send(filter, DELTA, "Req")
    send(filter, filters.header(0, 5, 60, { { "Other" } }) .. "60\t1\n", "Req")
    send(filter, filters.header(0, 2, 10, { { "Other" } }) .. "10\t1\n", nil)
    local out = filters.tick(filter, 0)
    table.sort(out, function(a, b) return a[2] < b[2] end)
    equal(out, {
        { "cbuf", "", filters.cbuf(0, 10, { { "Other" } }, { "nan", "1" }) },
        { "cbuf", "Req", filters.cbuf(0, 60, COLUMNS, { "5 nan", "3 9", "nan nan" }) },
    })
end)

test("surplus and missing values of a row do no harm", function()
    local filter = load()
    equal(send(filter, HEADER .. "0\t5\t6\t7\n60\t1\n", "Req"), 0)
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { "5 6", "1 nan", "nan nan" }))
end)

test("what is no change fails", function()
    local filter = load()
    equal(send(filter, "", "Req"), -1)
    equal(send(filter, "x", "Req"), -1)
    equal(send(filter, HEADER, "Req"), -1)
    equal(send(filter, "{\n0\t5\n", "Req"), -1)
    equal(send(filter, "7\n0\t5\n", "Req"), -1)
    equal(send(filter, "{}\n0\t5\n", "Req"), -1)
    equal(send(filter, '{"rows":1,"columns":1,"seconds_per_row":60,"column_info":[{"name":"a"}]}\n0\t5\n', "Req"), -1)
    equal(send(filter, '{"rows":3,"columns":2,"seconds_per_row":60,"column_info":[{"name":"a"}]}\n0\t5\n', "Req"), -1)
    equal(filters.tick(filter, 0), {})
end)

test("anomalies of all graphs make one alert", function()
    local now = 1500000000
    local filter = load { anomaly_config = 'roc("A", 1, 2, 0, 9, false, true) roc("B", 1, 2, 0, 9, false, true)' }
    local header = filters.header(0, 10, 60, { { "Requests" } })
    for _, name in ipairs { "A", "B", "C" } do
        equal(send(filter, header .. (now - 60) .. "\t1\n", name), 0)
    end
    local out = filters.tick(filter, now * 1e9)
    equal(#out, 4)
    equal(out[4][1], "alert")
    local a, b = "A - algorithm: roc col: 1 msg: unexpected data", "B - algorithm: roc col: 1 msg: unexpected data"
    equal(out[4][3] == a .. "\n" .. b or out[4][3] == b .. "\n" .. a, true)
    for i = 1, 3 do
        local has = out[i][3]:sub(1, 17) == '{"annotations":[{'
        equal({ has, out[i][1] }, { out[i][2] ~= "C", "cbuf" })
        if not has then equal(out[i][3]:sub(1, 19), '{"annotations":{}}\n') end
    end
    -- Annotations leave the graph with their row.
    equal(#filters.tick(filter, (now + 60) * 1e9), 3)
    local function annotated(ns)
        local count = 0
        for _, output in ipairs(filters.tick(filter, ns)) do
            if output[3]:sub(1, 17) == '{"annotations":[{' then count = count + 1 end
        end
        return count
    end
    equal({ annotated((now + 599) * 1e9), annotated((now + 600) * 1e9) }, { 2, 0 })
end)

test("graphs survive a restart", function()
    local filter = load()
    send(filter, DELTA, "Req")
    local restarted = load({}, { preserved = filter:preserved() })
    send(restarted, DELTA, "Req")
    equal(filters.tick(restarted, 0), {
        { "cbuf", "Req", filters.cbuf(0, 60, COLUMNS, { "10 nan", "4 9", "nan nan" }) },
    })
    equal(load({ preservation_version = 2 }).env._PRESERVATION_VERSION, 2)
    equal(restarted.env._PRESERVATION_VERSION, 0)
end)

harness.finish()
