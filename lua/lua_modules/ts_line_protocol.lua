-- Writes the fields of the current message as lines for time series databases: carbon's and InfluxDB's line protocol.
--
-- Configuration, a table for set_config (defaults in brackets):
--   carbon_format (false)           field names are made safe for carbon: what is no letter or digit becomes "_"
--   decimal_precision ("6")         digits after the point of numbers, InfluxDB only
--   name_prefix (false)             put before the field's name; %{..} as in msg_interpolate
--   name_prefix_delimiter (false)   put between prefix and name
--   skip_fields_str (false)         names of fields that make no points, separated by spaces; **all_base** for headers
--   source_value_field (false)      only this field makes points, under the bare prefix
--   tag_fields_str ("**all_base**") names of headers and fields that become tags; **all** and **all_base**; InfluxDB only
--   timestamp_precision ("ms")      ms, s, m or h
--   value_field_key ("value")       the key of the value, InfluxDB only
--
-- Use, in an encoder or filter:
--   local lines = require "ts_line_protocol"
--   local config = lines.set_config { name_prefix = "%{Hostname}", name_prefix_delimiter = "." }
--   inject_payload("txt", "", table.concat(lines.influxdb_line_msg(config), "\n"), "\n")
--
-- Names: the n-th repeat of a field gets "_fidx_n", the values after its first get "_vidx_1", "_vidx_1_vidx_2", ..

local string = require "string"
local field_util = require "field_util"
local interpolate = require "msg_interpolate".interpolate_from_msg

local read_message, decode_message = read_message, decode_message
local find, format, gsub = string.find, string.format, string.gsub
local ipairs, pairs, tostring, type = ipairs, pairs, tostring, type
local message_timestamp = field_util.message_timestamp

local M = {}

local DEFAULTS = {
    carbon_format = false, decimal_precision = "6", name_prefix = false, name_prefix_delimiter = false,
    skip_fields_str = false, source_value_field = false, tag_fields_str = "**all_base**", timestamp_precision = "ms",
    value_field_key = "value",
}

--- The complete configuration: the defaults with the given values over them, ready for the functions below.
function M.set_config(overrides)
    local cfg = {}
    for key, value in pairs(DEFAULTS) do cfg[key] = value end
    for key, value in pairs(overrides or {}) do cfg[key] = value end
    cfg.skip = cfg.skip_fields_str and field_util.field_map(cfg.skip_fields_str) or {}
    cfg.tags, cfg.tags_all_base, cfg.tags_all = field_util.field_map(cfg.tag_fields_str)
    cfg.number_format = "%." .. tostring(cfg.decimal_precision) .. "f"
    cfg.prefix_has_parts = cfg.name_prefix and find(cfg.name_prefix, "%{", 1, true) ~= nil
    return cfg
end

local function message_fields()
    local raw = read_message("raw")
    return raw and decode_message(raw).Fields or {}
end

-- Calls add(name, value) for every value that is a point, in the order of the message. Only the last point of a name
-- counts; there can be two only with source_value_field.
local function collect(cfg, fields)
    local prefix = cfg.name_prefix or ""
    if cfg.prefix_has_parts then prefix = interpolate(prefix) end
    local full_prefix = prefix .. (cfg.name_prefix_delimiter or "")
    local only, skip = cfg.source_value_field, cfg.skip
    local seen, at_name, names, values, count = {}, {}, {}, {}, 0
    for i = 1, #fields do
        local field = fields[i]
        local name = field.name
        if cfg.carbon_format then name = gsub(name, "%W", "_") end
        local repeats = seen[name] or 0
        seen[name] = repeats + 1
        local point
        if only then
            if field.name == only then point = prefix ~= "" and prefix or name end
        elseif not skip[name] then
            point = full_prefix .. name
            if repeats > 0 then point = point .. "_fidx_" .. repeats end
        end
        if point then
            for k, value in ipairs(field.value) do
                if k > 1 then point = point .. "_vidx_" .. (k - 1) end
                local at = at_name[point]
                if not at then
                    count = count + 1
                    at, at_name[point] = count, count
                end
                names[at], values[at] = point, value
            end
        end
    end
    return names, values, count
end

--- The lines "name value seconds" of the current message; only for values written with digits and points.
function M.carbon_line_msg(cfg)
    local lines = {}
    local names, values, count = collect(cfg, message_fields())
    if count == 0 then return lines end
    local timestamp = format("%.0f", message_timestamp(cfg.timestamp_precision))
    for i = 1, count do
        local text = tostring(values[i])
        if find(text, "^[%d.]+$") then lines[#lines + 1] = names[i] .. " " .. text .. " " .. timestamp end
    end
    return lines
end

local function escape(text)
    return (gsub(text, "[ ,]", "\\%0"))
end

local TAG_HEADERS = { "Logger", "Type", "Severity", "Hostname" }

-- The tags as ",key=value,..": headers first, then fields in the order of the message, each name once.
local function tag_text(cfg, fields)
    local wanted, out = cfg.tags, ""
    for _, header in ipairs(TAG_HEADERS) do
        if wanted[header] then
            local value = read_message(header)
            if value ~= nil then out = out .. "," .. header .. "=" .. escape(tostring(value)) end
        end
    end
    local seen = {}
    for i = 1, #fields do
        local field = fields[i]
        local name, value = field.name, field.value[1]
        local is_wanted = cfg.tags_all or (wanted[name] and not field_util.base_fields_list[name])
        if is_wanted and value ~= nil and not seen[name] then
            seen[name] = true
            out = out .. "," .. escape(name) .. "=" .. escape(tostring(value))
        end
    end
    return out
end

local function value_text(cfg, value)
    local kind = type(value)
    if kind == "number" then
        if value ~= value or value - value ~= 0 then return nil end
        return format(cfg.number_format, value)
    elseif kind == "string" then
        return '"' .. gsub(value, '"', '\\"') .. '"'
    end
    return tostring(value)
end

--- The lines "name,tag=.. key=value time" of the current message. NaN and infinity, which InfluxDB has no form for,
--- make no line.
function M.influxdb_line_msg(cfg)
    local lines = {}
    local fields = message_fields()
    local names, values, count = collect(cfg, fields)
    if count == 0 then return lines end
    local tags = tag_text(cfg, fields) .. " " .. cfg.value_field_key .. "="
    local timestamp = " " .. format("%.0f", message_timestamp(cfg.timestamp_precision))
    for i = 1, count do
        local text = value_text(cfg, values[i])
        if text then lines[#lines + 1] = escape(names[i]) .. tags .. text .. timestamp end
    end
    return lines
end

return M
