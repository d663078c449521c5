-- What the tests of filters and encoders share: short forms of what a plugin put out.
--
-- Here: outputs as plain tables, the text of a circular buffer, and the ticks that all filters with a graph share.
-- Not here: running a script (harness.lua).

require "string"
require "table"

local harness = require "harness"

local concat, format = table.concat, string.format
local ipairs, select = ipairs, select

local M = {}

--- What the plugin injected since the last call: a list of { payload_type, payload_name, Payload }.
function M.outputs(plugin)
    local out = {}
    for i, message in ipairs(plugin:take()) do
        local fields = harness.fields(message)
        out[i] = { fields.payload_type, fields.payload_name, message.Payload }
    end
    return out
end

--- Runs timer_event at `ns` and returns what it put out.
function M.tick(plugin, ns)
    plugin:take()
    plugin:timer(ns)
    return M.outputs(plugin)
end

--- The first line of the `index`-th output.
function M.annotations(outputs, index)
    return outputs[index][3]:match("^[^\n]+")
end

--- The header line of a circular buffer's text; `columns` is a list of { name, unit, aggregation }.
function M.header(time, rows, seconds_per_row, columns)
    local info = {}
    for i, column in ipairs(columns) do
        info[i] = format('{"name":"%s","unit":"%s","aggregation":"%s"}', column[1], column[2] or "count",
            column[3] or "sum")
    end
    return format('{"time":%d,"rows":%d,"columns":%d,"seconds_per_row":%d,"column_info":[%s]}\n', time, rows,
        #columns, seconds_per_row, concat(info, ","))
end

--- The text of a circular buffer; every row is a string with spaces where the text has tabs.
function M.cbuf(time, seconds_per_row, columns, rows)
    local lines = {}
    for i, row in ipairs(rows) do lines[i] = row:gsub(" ", "\t") .. "\n" end
    return M.header(time, #rows, seconds_per_row, columns) .. concat(lines)
end

local NOW = 1500000000

--- Checks the ticks of a filter with one graph: without anomaly detection, with it, and with an anomaly.
-- `load(config)` makes the filter with a row a minute, `feed(filter, ns)` gives it a message with a value in `column`.
function M.check_ticks(load, title, column, feed)
    local equal = harness.equal
    local quiet = load { rows = 10, sec_per_row = 60 }
    feed(quiet, (NOW - 60) * 1e9)
    local out = M.tick(quiet, NOW * 1e9)
    equal(#out, 1)
    equal({ out[1][1], out[1][2] }, { "cbuf", title })
    local plain = out[1][3]
    equal(plain:sub(1, 19), '{"time":1499999400,')

    local function configured(sd, start_of_data)
        return format('roc("%s", %d, 2, 0, %s, false, %s)', title, column, sd, start_of_data)
    end
    local watched = load { rows = 10, sec_per_row = 60, anomaly_config = configured("9", "false") }
    feed(watched, (NOW - 60) * 1e9)
    out = M.tick(watched, (NOW - 60) * 1e9)
    equal(out, { { "cbuf", title, '{"annotations":{}}\n' .. plain } })

    local alerted = load { rows = 10, sec_per_row = 60, anomaly_config = configured("9", "true") }
    feed(alerted, (NOW - 60) * 1e9)
    out = M.tick(alerted, NOW * 1e9)
    equal(#out, 2)
    equal(out[1], { "alert", "", format("%s - algorithm: roc col: %d msg: unexpected data", title, column) })
    local annotation = out[2][3]:match("^[^\n]+")
    equal({ out[2][1], out[2][2], annotation:sub(1, 17) }, { "cbuf", title, '{"annotations":[{' })
    equal(annotation:match('"x":(%d+)'), NOW .. "000")
    equal(annotation:match('"col":(%d+)'), format("%d", column))

    -- Throttled: the annotation stays, the alert is not repeated.
    feed(alerted, NOW * 1e9)
    out = M.tick(alerted, (NOW + 60) * 1e9)
    equal(#out, 1)
    equal(out[1][3]:match("^[^\n]+"), annotation)

    -- It leaves the graph with its row.
    equal(M.annotations(M.tick(alerted, (NOW + 599) * 1e9), 1), annotation)
    equal(M.annotations(M.tick(alerted, (NOW + 600) * 1e9), 1), '{"annotations":{}}')

    equal(load { rows = 10, sec_per_row = 5 }.env.graph:get_configuration(), 10)
    equal(select(3, load { rows = 10, sec_per_row = 5 }.env.graph:get_configuration()), 5)
end

return M
