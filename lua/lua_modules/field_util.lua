-- Which headers and fields of a message take part in an output.
--
-- Configuration: none. Use:
--   local field_util = require "field_util"
--   local skip, all_base, all = field_util.field_map(read_config("skip_fields"))
--   local ms = field_util.message_timestamp("ms")

local math = require "math"
local string = require "string"

local read_message = read_message
local floor, gmatch, pairs = math.floor, string.gmatch, pairs

local M = {}

--- The headers that count as fields.
M.base_fields_list = {
    EnvVersion = true, Hostname = true, Logger = true, Payload = true, Pid = true, Severity = true, Type = true,
}

--- The headers that are of use as tags.
M.base_fields_tag_list = { Hostname = true, Logger = true, Severity = true, Type = true }

--- The set of the words of a text, and whether they name all headers (**all_base**) and all fields (**all**); the
--- headers are then in the set. nil and "" stand for the headers.
function M.field_map(text)
    if not text or text == "" then return M.base_fields_list, true, false end
    local out, all_base, all = {}, false, false
    for word in gmatch(text, "%S+") do
        out[word] = true
        if word == "**all_base**" then
            all_base = true
        elseif word == "**all**" then
            all_base, all = true, true
        end
    end
    if all_base then
        for name in pairs(M.base_fields_list) do out[name] = true end
    end
    return out, all_base, all
end

local DIVISORS = { ms = 1e6, s = 1e9, m = 60e9, h = 3600e9 }

--- The message's time in whole units of the precision: ms (also for anything else), s, m or h.
function M.message_timestamp(precision)
    return floor((read_message("Timestamp") or 0) / (DIVISORS[precision] or 1e6))
end

--- The headers that are in the set `skip`. (Heka's documentation calls them those that are not; scripts rely on this.)
function M.used_base_fields(skip)
    local out = {}
    for name in pairs(M.base_fields_list) do
        if skip[name] then out[name] = true end
    end
    return out
end

return M
