-- The action line of ElasticSearch's bulk API.
--
-- Configuration: none. Use, in an encoder:
--   local elasticsearch = require "elasticsearch"
--   elasticsearch.bulkapi_index_json("heka-%{%Y.%m.%d}", "message", "%{id}", read_message("Timestamp"))
--   -- {"index":{"_index":"heka-2014.05.14","_type":"message","_id":"7"}}

local cjson = require "cjson"
local interpolate = require "msg_interpolate".interpolate_from_msg

local encode = cjson.encode

local M = {}

--- The line without its newline; index, type name and id are interpolated (msg_interpolate) and left out where nil.
--- `ns` is the time for strftime formats, now if nil.
function M.bulkapi_index_json(index, type_name, id, ns)
    local secs = ns and ns / 1e9
    local out, comma = '{"index":{', ""
    local function put(key, text)
        if not text then return end
        out = out .. comma .. '"' .. key .. '":' .. encode((interpolate(text, secs)))
        comma = ","
    end
    put("_index", index)
    put("_type", type_name)
    put("_id", id)
    return out .. "}}"
end

return M
