-- Heka's protobuf message in plain Lua, for tests only.
--
-- Here: encoding a message table and decoding bytes, with the texts of decode_message(). Not here: the rules
-- for what a script may put into a table (harness.lua).
-- A message is {Uuid =, Timestamp =, Type =, .., Fields = {{name =, value = {..}, value_type =, representation =}, ..}}.

require "string"
require "table"
require "math"

local byte, char, format, rep, sub = string.byte, string.char, string.format, string.rep, string.sub
local concat = table.concat
local floor, frexp, ldexp = math.floor, math.frexp, math.ldexp

local M = {}

local function varint(n)
    n = n < 0 and math.ceil(n) or floor(n)
    local out, negative = {}, n < 0
    if negative then
        n = -n - 1
        for i = 1, 9 do
            local group = n % 128
            out[i] = char(255 - group)
            n = (n - group) / 128
        end
        out[10] = "\1"
        return concat(out)
    end
    while n >= 128 do
        local group = n % 128
        out[#out + 1] = char(128 + group)
        n = (n - group) / 128
    end
    out[#out + 1] = char(n)
    return concat(out)
end

local function double(n)
    if n ~= n then return "\0\0\0\0\0\0\248\127" end
    local sign = 0
    if n < 0 or (n == 0 and 1 / n < 0) then
        sign, n = 128, -n
    end
    if n == math.huge then return "\0\0\0\0\0\0\240" .. char(sign + 127) end
    if n == 0 then return rep("\0", 7) .. char(sign) end
    local mantissa, exponent = frexp(n)
    exponent = exponent + 1022
    if exponent <= 0 then
        mantissa, exponent = ldexp(mantissa, exponent + 52), 0
    else
        mantissa = ldexp(mantissa * 2 - 1, 52)
    end
    local out = {}
    for i = 1, 6 do
        out[i] = char(mantissa % 256)
        mantissa = floor(mantissa / 256)
    end
    out[7] = char(exponent % 16 * 16 + mantissa)
    out[8] = char(sign + floor(exponent / 16))
    return concat(out)
end

local function read_double(bytes, at)
    local b1, b2, b3, b4, b5, b6, b7, b8 = byte(bytes, at, at + 7)
    local sign = b8 >= 128 and -1 or 1
    local exponent = b8 % 128 * 16 + floor(b7 / 16)
    local mantissa = b7 % 16
    for _, b in ipairs { b6, b5, b4, b3, b2, b1 } do mantissa = mantissa * 256 + b end
    if exponent == 2047 then
        return mantissa == 0 and sign * math.huge or 0 / 0
    elseif exponent == 0 then
        return sign * ldexp(mantissa, -1074)
    end
    return sign * ldexp(mantissa + 2 ^ 52, exponent - 1075)
end

local function text(tag, value)
    return char(tag * 8 + 2) .. varint(#value) .. value
end

local function encode_field(field)
    local kind, values = field.value_type or 0, field.value
    local out = { text(1, field.name) }
    if kind ~= 0 then out[#out + 1] = "\16" .. varint(kind) end
    if field.representation then out[#out + 1] = text(3, field.representation) end
    if kind <= 1 then
        for _, value in ipairs(values) do out[#out + 1] = text(4 + kind, value) end
        return concat(out)
    end
    local packed = {}
    for i, value in ipairs(values) do
        if kind == 2 then
            packed[i] = varint(value)
        elseif kind == 3 then
            packed[i] = double(value)
        else
            packed[i] = value and "\1" or "\0"
        end
    end
    if #packed == 1 then
        out[#out + 1] = char((4 + kind) * 8 + (kind == 3 and 1 or 0)) .. packed[1]
    elseif #packed > 1 then
        out[#out + 1] = text(4 + kind, concat(packed))
    end
    return concat(out)
end

--- Encodes a message table; absent headers are left out.
function M.encode(message)
    local out = {}
    local function put(tag, value)
        if value ~= nil then out[#out + 1] = text(tag, value) end
    end
    put(1, message.Uuid)
    if message.Timestamp then out[#out + 1] = "\16" .. varint(message.Timestamp) end
    put(3, message.Type)
    put(4, message.Logger)
    if message.Severity then out[#out + 1] = "\40" .. varint(message.Severity) end
    put(6, message.Payload)
    put(7, message.EnvVersion)
    if message.Pid then out[#out + 1] = "\64" .. varint(message.Pid) end
    put(9, message.Hostname)
    for _, field in ipairs(message.Fields or {}) do put(10, encode_field(field)) end
    return concat(out)
end

local function read_varint(bytes, at, stop)
    local groups = {}
    for i = 1, 10 do
        local b = at <= stop and byte(bytes, at)
        if not b then return nil end
        at = at + 1
        groups[i] = b % 128
        if b < 128 then break end
        if i == 10 then return nil end
    end
    local value = 0
    if #groups == 10 then
        for i = 9, 1, -1 do value = value * 128 + (127 - groups[i]) end
        return -value - 1, at
    end
    for i = #groups, 1, -1 do value = value * 128 + groups[i] end
    return value, at
end

-- Reads one tag and its value: tag, wire type, value, position behind it; nil with tag and wire type on error.
local function read_item(bytes, at, stop)
    local key, behind = read_varint(bytes, at, stop)
    if not key then return nil, 0, 0 end
    local tag, wire = floor(key / 8), key % 8
    if wire == 0 then
        local value, next_at = read_varint(bytes, behind, stop)
        if value then return tag, wire, value, next_at end
    elseif wire == 1 then
        if behind + 7 <= stop then return tag, wire, read_double(bytes, behind), behind + 8 end
    elseif wire == 2 then
        local size, from = read_varint(bytes, behind, stop)
        if size and size >= 0 and from + size - 1 <= stop then
            return tag, wire, sub(bytes, from, from + size - 1), from + size
        end
    end
    return nil, tag, wire
end

local function decode_field(bytes)
    local field, at, stop = { value = {} }, 1, #bytes
    local values = field.value
    while at <= stop do
        local tag, wire, value, behind = read_item(bytes, at, stop)
        if not tag then return nil end
        if tag == 1 and wire == 2 then
            field.name = value
        elseif tag == 2 and wire == 0 then
            field.value_type = value
        elseif tag == 3 and wire == 2 then
            field.representation = value
        elseif (tag == 4 or tag == 5) and wire == 2 then
            values[#values + 1] = value
        elseif tag == 7 and wire == 1 then
            values[#values + 1] = value
        elseif tag == 7 and wire == 2 then
            for i = 1, #value - 7, 8 do values[#values + 1] = read_double(value, i) end
        elseif (tag == 6 or tag == 8) and (wire == 0 or wire == 2) then
            if wire == 0 then
                values[#values + 1] = tag == 6 and value or value ~= 0
            else
                local inner = 1
                while inner <= #value do
                    local number
                    number, inner = read_varint(value, inner, #value)
                    if not number then return nil end
                    if tag == 8 then number = number ~= 0 end
                    values[#values + 1] = number
                end
            end
        else
            return nil
        end
        at = behind
    end
    return field.name and field or nil
end

local HEADERS = {
    { "Uuid", 2 }, { "Timestamp", 0 }, { "Type", 2 }, { "Logger", 2 }, { "Severity", 0 }, { "Payload", 2 },
    { "EnvVersion", 2 }, { "Pid", 0 }, { "Hostname", 2 },
}

--- Decodes bytes into a message table, or raises the text that decode_message() raises.
function M.decode(bytes)
    if #bytes < 20 then error("invalid message, too short", 0) end
    local message, at, stop = {}, 1, #bytes
    while at <= stop do
        local tag, wire, value, behind = read_item(bytes, at, stop)
        local header, good = tag and HEADERS[tag], false
        if header and wire == header[2] and (tag ~= 1 or #value == 16) then
            message[header[1]], good = value, true
        elseif tag == 10 and wire == 2 then
            local field = decode_field(value)
            if field then
                message.Fields = message.Fields or {}
                message.Fields[#message.Fields + 1], good = field, true
            end
        end
        if not good then
            local bad_tag, bad_wire = tag or wire, tag and wire or value
            error(format("error in tag: %d wiretype: %d offset: %d", bad_tag, bad_wire, at - 1), 0)
        end
        at = behind
    end
    if not (message.Uuid and message.Timestamp) then
        local found = { [true] = "found", [false] = "not found" }
        error(format("missing required field uuid: %s timestamp: %s", found[message.Uuid ~= nil],
            found[message.Timestamp ~= nil]), 0)
    end
    return message
end

return M
