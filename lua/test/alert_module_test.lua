-- The modules alert and annotation.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local T = 1.5e18

-- A filter whose timer_event does nothing; the module is called from the test, with the payload going to injected.
local function load(name, source)
    local filter = harness.load("f", {}, { max_process_inject = 100, source = name .. ' = require "' .. name .. '"\n'
        .. (source or "") .. "\ncalls = {}\nfunction process_message() result = { calls.run() } return 0 end" })
    return filter.env[name], function(fn, ...)
        local arguments = { ... }
        filter.env.calls.run = function() return fn(unpack(arguments)) end
        filter:process {}
        return filter.env.result[1]
    end, filter
end

test("one alert an hour", function()
    local alert, run, filter = load("alert")
    equal(run(alert.send, T, "one"), true)
    equal(run(alert.send, T + 1e9, "two"), false)
    equal({ alert.throttled(T + 3600e9), alert.throttled(T + 3601e9), alert.throttled(T - 1e9), alert.throttled(0) },
        { true, false, true, false })
    equal({ run(alert.queue, T + 3601e9, "q1"), run(alert.queue, T + 3601e9, "q2"), run(alert.queue, T, "q3") },
        { true, true, false })
    equal(run(alert.send_queue, T + 3601e9), true)
    equal(run(alert.send_queue, T + 9999e9), false)
    local out = {}
    for i, m in ipairs(filter:take()) do
        local f = harness.fields(m)
        out[i] = { f.payload_type, f.payload_name, m.Payload }
    end
    equal(out, { { "alert", "", "one" }, { "alert", "", "q1\nq2" } })
    equal(filter.env._LAST_ALERT, T + 3601e9)
    equal(filter:preserved().globals._LAST_ALERT, T + 3601e9)
end)

test("empty alerts, other throttles, time 0", function()
    local alert, run, filter = load("alert")
    equal({ run(alert.send, T, nil), run(alert.send, T, ""), run(alert.queue, T, "") }, { false, false, false })
    alert.set_throttle(10e9)
    equal({ run(alert.send, T, "a"), run(alert.send, T + 10e9, "b"), run(alert.send, T + 11e9, "c"),
        run(alert.send, 0, "d") }, { true, false, true, true })
    equal(filter.env._LAST_ALERT, T + 11e9)
    equal(#filter:take(), 3)
end)

test("a queue that is held back is emptied", function()
    local alert, run = load("alert")
    run(alert.queue, T, "a")
    run(alert.send, T, "b")
    equal(run(alert.send_queue, T + 1e9), false)
    equal(run(alert.send_queue, T + 7200e9), false)
end)

test("annotations are kept until they are old", function()
    local annotation, _, filter = load("annotation", 'require "cjson"')
    local decode = filter.env.cjson.decode
    local function columns(text)
        local out = {}
        for i, one in ipairs(decode(text).annotations) do out[i] = { one.x, one.col, one.shortText, one.text } end
        return out
    end
    annotation.add("g", 1500e9, 1, "A", "first")
    annotation.add("g", 1560e9, 2, "B", "second")
    annotation.set_prune("g", 60e9)
    local first, second = { 1500000, 1, "A", "first" }, { 1560000, 2, "B", "second" }
    local text = annotation.prune("g", 1559e9)
    equal(text:sub(-1), "\n")
    equal(columns(text), { first, second })
    equal(columns(annotation.prune("g", 1560e9)), { second })
    equal(annotation.prune("g", 1620e9), '{"annotations":{}}\n')
    equal(annotation.prune("unknown", 0), nil)
end)

test("annotations are joined, removed and live a day", function()
    local annotation, _, filter = load("annotation")
    local one = annotation.create(1234567890, 3, "C", "text")
    equal(one, { x = 1234, col = 3, shortText = "C", text = "text" })
    annotation.concat("g", { one, annotation.create(2e9, 1, "D", "t") })
    annotation.concat("g", nil)
    equal(#filter.env._ANNOTATIONS.g.annotations, 2)
    equal(filter.env._ANNOTATIONS.g.prune_duration, 86400e9)
    equal(#filter:preserved().globals._ANNOTATIONS.g.annotations, 2)
    annotation.remove("g")
    equal(annotation.prune("g", 0), nil)
end)

harness.finish()
