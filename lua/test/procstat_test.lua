-- procstat: differences and CPU percentages between two readings of /proc/stat.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/procstat.lua"

local FIRST = { Type = "stats.procstat", Payload = "first", Fields = {
    { name = "cpu", value = { 100, 10, 50, 800, 40, 0, 0, 0, 0, 0 } },
    { name = "cpu0", value = { 100, 10, 50, 800 } },
    { name = "intr", value = { 100, 1, 2 } },
    { name = "ctxt", value = 1000 },
    { name = "softirq", value = { 10, 20 } },
} }
local SECOND = { Type = "stats.procstat", Payload = "second", Fields = {
    { name = "cpu", value = { 130, 10, 60, 850, 45, 1, 2, 2, 0, 0 } },
    { name = "cpu0", value = { 110, 10, 50, 830 } },
    { name = "intr", value = { 110, 1, 2 } },
    { name = "ctxt", value = 1250 },
    { name = "softirq", value = { 11, 25 } },
} }

local function run(config, ...)
    local filter = harness.load(SCRIPT, config)
    for i = 1, select("#", ...) do
        equal(filter:process((select(i, ...))), 0)
    end
    return filter:take()
end

test("the first message only primes", function()
    equal(run({}, FIRST), {})
end)

test("a processor's percentage is the time that it was not idle", function()
    local out = run({}, FIRST, SECOND)
    equal(#out, 1)
    equal(out[1].Type, "heka.sandbox.procstat")
    equal(out[1].Payload, "second")
    -- cpu: 50 idle of 100 ticks; cpu0: 30 of 40.
    equal(harness.fields(out[1]), { cpu_percent = 50, cpu0_percent = 25 })
    equal(harness.field(out[1], "cpu_percent").value_type, 3)
end)

test("each message is compared with the one before", function()
    local third = { Fields = { { name = "cpu", value = { 140, 10, 60, 880, 45, 1, 2, 2, 0, 0 } } } }
    local out = run({}, FIRST, SECOND, third)
    equal(#out, 2)
    equal(harness.fields(out[2]), { cpu_percent = 25 })
end)

test("the whitelist is a pattern", function()
    equal(harness.fields(run({ whitelist = "cpu$" }, FIRST, SECOND)[1]), { cpu_percent = 50 })
end)

test("percentages are whole numbers unless switched off", function()
    local last = { Fields = { { name = "cpu0", value = { 101, 10, 50, 802 } } } }
    equal(harness.fields(run({}, FIRST, last)[1]), { cpu0_percent = 33 })
    local out = run({ percent_integer = false }, FIRST, last)
    harness.near(harness.fields(out[1]).cpu0_percent, 1 / 3, 1e-12)
end)

test("extras add differences and states", function()
    equal(harness.fields(run({ extras = true }, FIRST, SECOND)[1]), {
        cpu_percent = 50, cpu_delta_user = 30, cpu_delta_nice = 0, cpu_delta_system = 10, cpu_delta_idle = 50,
        cpu_delta_iowait = 5, cpu_delta_irq = 1, cpu_delta_softirq = 2, cpu_delta_steal = 2, cpu_delta_guest = 0,
        cpu_delta_guestnice = 0, cpu_delta_ticks = 100, cpu_percent_user = 30, cpu_percent_nice = 0,
        cpu_percent_system = 10, cpu_percent_idle = 50, cpu_percent_iowait = 5,
        cpu0_percent = 25, cpu0_delta_user = 10, cpu0_delta_nice = 0, cpu0_delta_system = 0, cpu0_delta_idle = 30,
        cpu0_delta_ticks = 40, cpu0_percent_user = 25, cpu0_percent_nice = 0, cpu0_percent_system = 0,
        cpu0_percent_idle = 75,
        ctxt_delta = 250, softirq_delta_1 = 1, softirq_delta_2 = 5,
    })
end)

test("no ticks give no percentage", function()
    local out = run({}, FIRST, FIRST)
    equal({ out[1].Payload, harness.fields(out[1]) }, { "first", {} })
end)

test("one tick is enough", function()
    local out = run({}, FIRST, { Fields = { { name = "cpu0", value = { 101, 10, 50, 800 } } } })
    equal(harness.fields(out[1]), { cpu0_percent = 100 })
end)

test("a fully idle processor is at zero, not minus zero", function()
    local out = run({}, FIRST, { Fields = { { name = "cpu0", value = { 100, 10, 50, 900 } } } })
    equal(1 / harness.fields(out[1]).cpu0_percent, math.huge)
end)

test("odd fields do no harm", function()
    local odd = { Fields = {
        { name = "cpu", value = 7 }, { name = "cpu0", value = { 1, 2, 3, 4, 5 } }, { name = "ctxt", value = "many" },
        { name = "cpufreq", value = 5 }, { name = "new", value = 1 },
    } }
    equal(harness.fields(run({ extras = true }, FIRST, odd)[1]), {})
    equal(harness.fields(run({ extras = true }, odd, odd)[1]), {
        cpu_delta = 0, cpu0_delta_user = 0, cpu0_delta_nice = 0, cpu0_delta_system = 0, cpu0_delta_idle = 0,
        cpu0_delta_iowait = 0, cpu0_delta_ticks = 0, cpufreq_delta = 0, new_delta = 0,
    })
    local many = { Fields = { { name = "cpu", value = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } } } }
    equal(#run({ extras = true }, many, many)[1].Fields, 11)
end)

test("fields of a longer message do not linger", function()
    local short = { Fields = { { name = "cpu0", value = { 110, 10, 50, 860 } } } }
    local out = run({}, FIRST, SECOND, short)
    equal(harness.fields(out[2]), { cpu0_percent = 0 })
    out = run({ extras = true }, FIRST, SECOND, short)
    equal(#out[2].Fields, 10)
end)

harness.finish()
