-- http_status: response codes by class.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/http_status.lua"
local COLUMNS = { { "HTTP_100" }, { "HTTP_200" }, { "HTTP_300" }, { "HTTP_400" }, { "HTTP_500" }, { "HTTP_UNKNOWN" } }
local EMPTY = "nan nan nan nan nan nan"

local function load(config, options)
    return harness.load(SCRIPT, config, options)
end

local function see(filter, status, timestamp)
    return filter:process { Timestamp = timestamp or 60e9, Fields = { status = status } }
end

test("a code counts in the column of its class", function()
    local filter = load { rows = 2 }
    equal(see(filter, 404), 0)
    equal(see(filter, 404), 0)
    equal(filters.tick(filter, 0), {
        { "cbuf", "HTTP Status", filters.cbuf(0, 60, COLUMNS, { EMPTY, "nan nan nan 2 nan nan" }) },
    })
end)

test("codes at the edges of the classes", function()
    local filter = load { rows = 2 }
    for _, status in ipairs { 99, 100, 199, 200, 299, 300, 399, 400, 499, 500, 599, 600, -1, 0 } do
        equal(see(filter, status), 0)
    end
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, "2 2 2 2 2 4" }))
end)

test("the codes of real requests, as the decoder hands them on", function()
    -- Of the access log of a public web server.
    local lines = {
        '24.236.252.67 - - [17/May/2015:10:05:40 +0000] "GET /favicon.ico HTTP/1.1" 200 3638 "-" ' ..
            '"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:26.0) Gecko/20100101 Firefox/26.0"',
        '144.76.194.187 - - [17/May/2015:13:05:28 +0000] "GET /wp-login.php HTTP/1.0" 404 292 "-" "-"',
        '144.76.194.187 - - [17/May/2015:13:05:46 +0000] "GET /articles HTTP/1.0" 301 323 "-" "-"',
        '66.249.73.135 - - [18/May/2015:03:05:34 +0000] "GET /misc/Title.php.txt HTTP/1.1" 500 - "-" ' ..
            '"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"',
    }
    local decoder = harness.load("lua_decoders/apache_access.lua",
        { log_format = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"' })
    local filter = load { rows = 2, sec_per_row = 86400 }
    for _, line in ipairs(lines) do
        equal(filter:process(decoder:decode({ Payload = line })[1]), 0)
    end
    equal(filters.tick(filter, 0)[1][3],
        filters.cbuf(1431820800, 86400, COLUMNS, { "nan 1 1 1 nan nan", "nan nan nan nan 1 nan" }))
end)

test("a code that is no number fails", function()
    local filter = load { rows = 2 }
    equal(see(filter, "404"), -1)
    equal(filter:process { Timestamp = 60e9 }, -1)
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, EMPTY }))
end)

test("the field is configurable", function()
    local filter = load { rows = 2, sec_per_row = 5, status_field = "code" }
    equal(filter:process { Timestamp = 5e9, Fields = { code = 503, status = 200 } }, 0)
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 5, COLUMNS, { EMPTY, "nan nan nan nan 1 nan" }))
end)

test("anomalies are annotated and alerted", function()
    filters.check_ticks(load, "HTTP Status", 4, function(filter, ns) equal(see(filter, 404, ns), 0) end)
end)

test("alerts come as often as alert_throttle allows", function()
    local any_data = 'roc("HTTP Status", 2, 2, 0, 9, true, true)'
    local filter = load { rows = 10, alert_throttle = 60, anomaly_config = any_data }
    see(filter, 200, 1500000000e9)
    equal(#filters.tick(filter, 1500000060e9), 2)
    equal(#filters.tick(filter, 1500000120e9), 1)
    equal(#filters.tick(filter, 1500000180e9), 2)
end)

test("counts survive a restart", function()
    local filter = load { rows = 2 }
    see(filter, 404)
    local restarted = load({ rows = 2 }, { preserved = filter:preserved() })
    see(restarted, 404)
    equal(filters.tick(restarted, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, "nan nan nan 2 nan nan" }))
    equal(restarted.env._PRESERVATION_VERSION, 1)
    equal(load({ preservation_version = 2 }).env._PRESERVATION_VERSION, 3)
end)

harness.finish()
