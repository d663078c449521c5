-- Stand-ins in plain Lua for the sandbox's native modules, for tests only.
--
-- Here: circular_buffer (complete), and bloom_filter, cuckoo_filter and hyperloglog as exact sets (their counts
-- have no error). Not here: cjson and lpeg, which exist as ordinary Lua modules; sax and struct.
-- Objects are userdata, as in the sandbox. Text output of an object: `M.text(object)`.

require "string"
require "table"
require "math"

local format, gmatch, gsub, sub, find, rep = string.format, string.gmatch, string.gsub, string.sub, string.find,
    string.rep
local concat, sort = table.concat, table.sort
local floor, huge, sqrt, exp, abs = math.floor, math.huge, math.sqrt, math.exp, math.abs
local newproxy, getmetatable, error, type, tostring, tonumber = newproxy, getmetatable, error, type, tostring, tonumber
local ipairs, pairs, select = ipairs, pairs, select

local M = {}
local NAN = 0 / 0

--- The text of a number as add_to_payload() writes it.
function M.number_text(n)
    if n ~= n then return "nan" end
    if n == huge then return "inf" end
    if n == -huge then return "-inf" end
    if n > 2147483647 or n <= -2147483648 then return format("%.17g", n) end
    return (gsub(gsub(format("%.8f", n), "0+$", ""), "%.$", ""))
end

local number_text = M.number_text

-- State of every object, by its userdata.
local states = setmetatable({}, { __mode = "k" })

--- The text form of a native object, or nil for values that have none.
function M.text(object)
    local state = states[object]
    return state and state.class.text and state.class.text(state)
end

--- What an object is: "circular_buffer", ..; nil for other values.
function M.kind(object)
    local state = states[object]
    return state and state.class.name
end

local function new_object(class, state)
    local object = newproxy(true)
    local meta = getmetatable(object)
    local methods = {}
    for name, method in pairs(class.methods) do
        methods[name] = function(self, ...)
            local own = states[self]
            if not own or own.class ~= class then
                error(format("calling '%s' on bad self (Heka.%s expected)", name, class.name), 2)
            end
            return method(own, self, ...)
        end
    end
    meta.__index = methods
    state.class = class
    states[object] = state
    return object
end

local function bad(n, name, detail, level)
    error(format("bad argument #%d to '%s' (%s)", n, name, detail), (level or 1) + 1)
end

-- circular_buffer -----------------------------------------------------------------------------------------------

local buffer = { name = "circular_buffer", methods = {} }

local function row_time(state, ns)
    local seconds = floor(ns / 1e9)
    return seconds - seconds % state.seconds_per_row
end

-- Index of the row that holds `ns`, advancing the buffer when writing; nil when outside.
local function find_row(state, ns, advance)
    local time = row_time(state, ns)
    local steps = (time - state.time) / state.seconds_per_row
    local rows = state.rows
    if steps > 0 then
        if not advance then return nil end
        for i = 1, steps < rows and steps or rows do
            local row = (state.row + i) % rows
            for column = 1, state.columns do state.cells[row * state.columns + column] = NAN end
        end
        state.row = (state.row + steps) % rows
        state.time = time
        return state.row
    elseif -steps >= rows then
        return nil
    end
    return (state.row + steps) % rows
end

local function check_column(state, column, name)
    if type(tonumber(column)) ~= "number" then bad(2, name, "number expected, got " .. type(column), 4) end
    column = floor(tonumber(column))
    if column < 1 or column > state.columns then bad(2, name, "column out of range", 4) end
    return column
end

local function add_delta(state, ns, column, value)
    if not state.deltas or value == 0 then return end
    local time = row_time(state, ns)
    local row = state.deltas[time]
    if not row then
        row = {}
        state.deltas[time] = row
    end
    row[column] = (row[column] or 0) + value
end

function buffer.methods.add(state, _, ...)
    if select("#", ...) ~= 3 then bad(-1, "add", "incorrect number of arguments", 3) end
    local ns, column, value = ...
    local row = find_row(state, ns, true)
    column = check_column(state, column, "add")
    if not row then return nil end
    local at = row * state.columns + column
    local old = state.cells[at]
    local result = old ~= old and value or old + value
    state.cells[at] = result
    if state.headers[column].aggregation == "sum" then
        add_delta(state, ns, column, value)
    else
        add_delta(state, ns, column, result)
    end
    return result
end

function buffer.methods.set(state, _, ...)
    if select("#", ...) ~= 3 then bad(-1, "set", "incorrect number of arguments", 3) end
    local ns, column, value = ...
    local row = find_row(state, ns, true)
    column = check_column(state, column, "set")
    if not row then return nil end
    local at = row * state.columns + column
    local old, aggregation = state.cells[at], state.headers[column].aggregation
    if aggregation == "min" or aggregation == "max" then
        if old ~= old or (aggregation == "min" and value < old) or (aggregation == "max" and value > old) then
            state.cells[at] = value
            add_delta(state, ns, column, value)
        end
        return state.cells[at]
    end
    state.cells[at] = value
    if old ~= old or old == huge or old == -huge then old = 0 end
    add_delta(state, ns, column, value - old)
    return value
end

function buffer.methods.get(state, _, ...)
    if select("#", ...) ~= 2 then bad(-1, "get", "incorrect number of arguments", 3) end
    local ns, column = ...
    column = check_column(state, column, "get")
    local row = find_row(state, ns, false)
    return row and state.cells[row * state.columns + column]
end

function buffer.methods.set_header(state, _, column, name, unit, aggregation)
    column = check_column(state, column, "set_header")
    aggregation = aggregation or "sum"
    if not find(" sum min max none ", " " .. aggregation .. " ", 1, true) then
        bad(4, "set_header", format("invalid option '%s'", aggregation), 3)
    end
    state.headers[column] = {
        name = gsub(sub(name, 1, 15), "%W", "_"),
        unit = gsub(sub(unit or "count", 1, 7), "[^%w/*]", "_"),
        aggregation = aggregation,
    }
    return column
end

function buffer.methods.get_header(state, _, column)
    local header = state.headers[check_column(state, column, "get_header")]
    return header.name, header.unit, header.aggregation
end

function buffer.methods.get_configuration(state)
    return state.rows, state.columns, state.seconds_per_row
end

function buffer.methods.current_time(state)
    return state.time * 1e9
end

-- Indices of the rows from `start` to `stop`, oldest first; nil when a bound is outside.
local function range(state, start, stop)
    local from, to = find_row(state, start, false), find_row(state, stop, false)
    if not from or not to then return nil end
    local count = (to - from) % state.rows + 1
    return from, count
end

function buffer.methods.compute(state, _, fn, column, start, stop)
    if not find(" sum avg sd min max variance ", " " .. tostring(fn) .. " ", 1, true) then
        bad(1, "compute", format("invalid option '%s'", tostring(fn)), 3)
    end
    column = check_column(state, column, "compute")
    start = start or (state.time - state.seconds_per_row * (state.rows - 1)) * 1e9
    stop = stop or state.time * 1e9
    if stop < start then bad(4, "compute", "end must be >= start", 3) end
    local from, count = range(state, start, stop)
    if not from then return nil, 0 end
    local sum, active, low, high = 0, 0, NAN, NAN
    for i = 0, count - 1 do
        local value = state.cells[(from + i) % state.rows * state.columns + column]
        if value == value then
            sum, active = sum + value, active + 1
            if low ~= low or value < low then low = value end
            if high ~= high or value > high then high = value end
        end
    end
    if fn == "sum" then return sum, active end
    if fn == "min" then return low, active end
    if fn == "max" then return high, active end
    if active == 0 then return NAN, 0 end
    local mean = sum / active
    if fn == "avg" then return mean, active end
    local squares = 0
    for i = 0, count - 1 do
        local value = state.cells[(from + i) % state.rows * state.columns + column]
        if value == value then squares = squares + (value - mean) ^ 2 end
    end
    squares = squares / active
    return fn == "sd" and sqrt(squares) or squares, active
end

-- Upper tail of the normal distribution beyond |z| (Abramowitz and Stegun 26.2.17; error below 7.5e-8).
local function normal_tail(z)
    z = abs(z)
    local t = 1 / (1 + 0.2316419 * z)
    local poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    return exp(-z * z / 2) / 2.5066282746310002 * poly
end

function buffer.methods.mannwhitneyu(state, _, column, start_1, stop_1, start_2, stop_2, continuity, ...)
    column = check_column(state, column, "mannwhitneyu")
    if select("#", ...) > 0 then bad(-1, "mannwhitneyu", "too many arguments", 3) end
    if continuity == nil then continuity = true end
    if type(continuity) ~= "boolean" then bad(6, "mannwhitneyu", "use_continuity must be a boolean", 3) end
    if stop_1 < start_1 then bad(3, "mannwhitneyu", "end_1 must be >= start_1", 3) end
    if stop_2 < start_2 then bad(5, "mannwhitneyu", "end_2 must be >= start_2", 3) end
    if start_1 <= stop_2 and start_2 <= stop_1 then bad(2, "mannwhitneyu", "ranges must not overlap", 3) end
    local values = {}
    for sample, bounds in ipairs { { start_1, stop_1 }, { start_2, stop_2 } } do
        local from, count = range(state, bounds[1], bounds[2])
        if not from then return nil end
        for i = 0, count - 1 do
            local value = state.cells[(from + i) % state.rows * state.columns + column]
            values[#values + 1] = { value == value and value or -huge, sample }
        end
    end
    sort(values, function(a, b) return a[1] < b[1] end)
    local spr = state.seconds_per_row
    local n1 = floor((stop_1 - start_1) / 1e9 / spr) + 1
    local n2 = floor((stop_2 - start_2) / 1e9 / spr) + 1
    local ranks, ties, at, count = 0, 0, 1, #values
    while at <= count do
        local last = at
        while last < count and values[last + 1][1] == values[at][1] do last = last + 1 end
        local same = last - at + 1
        if same == count then return nil end
        ties = ties + same ^ 3 - same
        for i = at, last do
            if values[i][2] == 1 then ranks = ranks + (at + last) / 2 end
        end
        at = last + 1
    end
    local u1 = ranks - n1 * (n1 + 1) / 2
    local larger = u1 > n1 * n2 / 2 and u1 or n1 * n2 - u1
    local n = n1 + n2
    local sd = sqrt(n1 * n2 / 12 * (n + 1 - ties / (n * (n - 1))))
    local z = (larger - n1 * n2 / 2 - (continuity and 0.5 or 0)) / sd
    return u1, normal_tail(z)
end

function buffer.methods.format(state, self, ...)
    local form = ...
    if select("#", ...) ~= 1 then bad(-1, "format", "incorrect number of arguments", 3) end
    if form ~= "cbuf" and form ~= "cbufd" then
        bad(1, "format", format("invalid option '%s'", tostring(form)), 3)
    end
    state.format = form
    return self
end

function buffer.methods.fromstring(state, _, text)
    local cells = state.rows * state.columns
    local numbers = {}
    for word in gmatch(text, "%S+") do
        local low = string.lower(word)
        if find(low, "nan", 1, true) then
            numbers[#numbers + 1] = NAN
        elseif low == "inf" or low == "-inf" then
            numbers[#numbers + 1] = low == "inf" and huge or -huge
        else
            numbers[#numbers + 1] = tonumber(word)
        end
    end
    if #numbers < cells + 2 then
        error(format("fromstring() too few values: %d, expected %d", #numbers - 2, cells), 3)
    end
    state.time, state.row = numbers[1], numbers[2]
    for i = 1, cells do state.cells[i] = numbers[i + 2] end
    local at = cells + 3
    if at <= #numbers and not state.deltas then
        error(format("fromstring() too many values, more than: %d", cells), 3)
    end
    while at <= #numbers do
        if at + state.columns > #numbers then error("fromstring() invalid delta", 3) end
        local row = {}
        for column = 1, state.columns do
            if numbers[at + column] ~= 0 then row[column] = numbers[at + column] end
        end
        state.deltas[numbers[at]] = row
        at = at + state.columns + 1
    end
end

function buffer.text(state)
    local first = state.time - state.seconds_per_row * (state.rows - 1)
    local info = {}
    for i, header in ipairs(state.headers) do
        info[i] = format('{"name":"%s","unit":"%s","aggregation":"%s"}', header.name, header.unit, header.aggregation)
    end
    local out = { format('{"time":%s,"rows":%d,"columns":%d,"seconds_per_row":%d,"column_info":[%s]}\n',
        number_text(first), state.rows, state.columns, state.seconds_per_row, concat(info, ",")) }
    local function line(at, prefix)
        local words = { prefix }
        for column = 1, state.columns do words[#words + 1] = number_text(at(column)) end
        out[#out + 1] = concat(words, "\t") .. "\n"
    end
    if state.format == "cbufd" then
        if not state.deltas or next(state.deltas) == nil then return "" end
        local times = {}
        for time in pairs(state.deltas) do times[#times + 1] = time end
        sort(times)
        for _, time in ipairs(times) do
            local row = state.deltas[time]
            line(function(column) return row[column] or NAN end, number_text(time))
        end
        state.deltas = {}
        return concat(out)
    end
    for i = 1, state.rows do
        local row = (state.row + i) % state.rows * state.columns
        line(function(column) return state.cells[row + column] end)
    end
    return concat(out)
end

M.circular_buffer = {
    version = function() return "0.2.0" end,
    new = function(...)
        local count = select("#", ...)
        local rows, columns, seconds_per_row, enable_delta = ...
        if count < 3 or count > 4 then bad(-1, "new", "incorrect number of arguments", 2) end
        rows, columns, seconds_per_row = floor(rows), floor(columns), floor(seconds_per_row)
        if rows <= 1 then bad(1, "new", "rows must be > 1", 2) end
        if columns <= 0 then bad(2, "new", "columns must be > 0", 2) end
        if seconds_per_row <= 0 then bad(3, "new", "seconds_per_row is out of range", 2) end
        local state = {
            rows = rows, columns = columns, seconds_per_row = seconds_per_row, deltas = enable_delta and {} or nil,
            time = seconds_per_row * (rows - 1), row = rows - 1, cells = {}, headers = {}, format = "cbuf",
        }
        for i = 1, rows * columns do state.cells[i] = NAN end
        for i = 1, columns do state.headers[i] = { name = "Column_" .. i, unit = "count", aggregation = "sum" } end
        return new_object(buffer, state)
    end,
}

-- Sets ----------------------------------------------------------------------------------------------------------

local function new_set_class(name, methods)
    local class = { name = name, methods = {} }
    local function key_of(key)
        local kind = type(key)
        if kind ~= "string" and kind ~= "number" then bad(1, "add", "must be a string or number", 4) end
        return key
    end
    local all = {
        add = function(state, _, key)
            if state.keys[key_of(key)] then return false end
            state.keys[key], state.count = true, state.count + 1
            return true
        end,
        query = function(state, _, key) return state.keys[key_of(key)] ~= nil end,
        delete = function(state, _, key)
            if not state.keys[key_of(key)] then return false end
            state.keys[key], state.count = nil, state.count - 1
            return true
        end,
        count = function(state) return state.count end,
        clear = function(state) state.keys, state.count = {}, 0 end,
    }
    for word in gmatch(methods, "%S+") do class.methods[word] = all[word] end
    return class
end

local bloom = new_set_class("bloom_filter", "add query count clear")
local cuckoo = new_set_class("cuckoo_filter", "add query delete count clear")
local hyperloglog = new_set_class("hyperloglog", "add count clear")
hyperloglog.text = function() return "HYLL" .. rep("\0", 12300) end

M.bloom_filter = {
    version = function() return "0.2.0" end,
    new = function(...)
        local items, probability = ...
        if select("#", ...) ~= 2 then bad(0, "new", "incorrect number of arguments", 2) end
        if items <= 1 then bad(1, "new", "items must be > 1", 2) end
        if probability <= 0 or probability >= 1 then bad(2, "new", "probability must be between 0 and 1", 2) end
        return new_object(bloom, { keys = {}, count = 0 })
    end,
}
M.cuckoo_filter = {
    version = function() return "0.1.0" end,
    new = function(items)
        if items <= 4 then bad(1, "new", "items must be > 4", 2) end
        return new_object(cuckoo, { keys = {}, count = 0 })
    end,
}
M.hyperloglog = {
    version = function() return "0.1.0" end,
    new = function() return new_object(hyperloglog, { keys = {}, count = 0 }) end,
}

return M
