-- Values as bytes, between the script of a test, the test's host and a plugin's script.
--
-- z nil; t, f booleans; n<digits>; number; s<bytes>:.. string; {<key><value>..} table; r<id>; what only its owner has;
-- R<id>; the same, sent back to its owner.

require "string"
require "table"

local format, sub, find, match = string.format, string.sub, string.find, string.match
local concat, tonumber, type, pairs, error, select = table.concat, tonumber, type, pairs, error, select

local M = {}

--- Packs values; `refer(value)` gives the text for what has no bytes of its own, or nil.
function M.pack(refer, ...)
    local out = {}
    local function put(value)
        local kind = type(value)
        local special = refer(value, kind)
        if special then
            out[#out + 1] = special
        elseif kind == "nil" then
            out[#out + 1] = "z"
        elseif kind == "boolean" then
            out[#out + 1] = value and "t" or "f"
        elseif kind == "number" then
            out[#out + 1] = format("n%.17g;", value)
        elseif kind == "string" then
            out[#out + 1] = "s" .. #value .. ":" .. value
        elseif kind == "table" then
            out[#out + 1] = "{"
            for key, item in pairs(value) do
                put(key)
                put(item)
            end
            out[#out + 1] = "}"
        else
            error("a " .. kind .. " cannot be packed")
        end
    end
    for i = 1, select("#", ...) do put((select(i, ...))) end
    return concat(out)
end

--- Unpacks all values of `text`: their number and a table; `resolve(letter, id)` gives what a reference stands for.
function M.unpack(text, resolve)
    local at = 1
    local take
    function take()
        local letter = sub(text, at, at)
        at = at + 1
        if letter == "z" then return nil end
        if letter == "t" or letter == "f" then return letter == "t" end
        if letter == "{" then
            local out = {}
            while sub(text, at, at) ~= "}" do
                local key = take()
                out[key] = take()
            end
            at = at + 1
            return out
        end
        local stop = find(text, "[;:]", at)
        local number = sub(text, at, stop - 1)
        at = stop + 1
        if letter == "n" then
            if find(number, "nan", 1, true) then return 0 / 0 end
            if find(number, "inf", 1, true) then return match(number, "^-") and -1 / 0 or 1 / 0 end
            return tonumber(number)
        end
        if letter ~= "s" then return resolve(letter, tonumber(number)) end
        local value = sub(text, at, at + number - 1)
        at = at + number
        return value
    end
    local count, values = 0, {}
    while at <= #text do
        count = count + 1
        values[count] = take()
    end
    return count, values
end

return M
