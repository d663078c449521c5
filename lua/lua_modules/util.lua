-- Small helpers for tables.
--
-- Configuration: none. Use:
--   local util = require "util"
--   local fields = {}
--   util.table_to_fields({ a = { b = 1 } }, fields)        -- fields["a.b"] == 1

local cjson = require "cjson"
local string = require "string"

local encode = cjson.encode
local find = string.find
local pairs, type = pairs, type

local M = {}

local function count(text, separator)
    local n, at = 0, 1
    while true do
        local first, last = find(text, separator, at, true)
        if not first or last < first then return n end
        n, at = n + 1, last + 1
    end
end

--- Writes the values of the table `t` and of its tables, however deep, into `fields`; the keys on the way are joined by
--- `separator` ("." if nil), after `parent` if there is one. Userdata (such as cjson.null) is left out.
--- With `max_depth`, a table whose joined key has that many parts becomes JSON text.
function M.table_to_fields(t, fields, parent, separator, max_depth)
    separator = separator or "."
    for key, value in pairs(t) do
        local name = key
        if parent then name = parent .. separator .. key end
        local kind = type(value)
        if kind == "table" then
            if max_depth and count(name .. "", separator) + 1 >= max_depth then
                fields[name] = encode(value)
            else
                M.table_to_fields(value, fields, name, separator, max_depth)
            end
        elseif kind ~= "userdata" then
            fields[name] = value
        end
    end
end

--- Removes the elements before `index` from `array`, in place.
function M.behead_array(index, array)
    if index <= 1 then return end
    local length = #array
    for i = index, length do array[i - index + 1] = array[i] end
    local kept = length - index + 1
    for i = length, kept < 0 and 1 or kept + 1, -1 do array[i] = nil end
end

return M
