-- Lets a test look into the script of a plugin, and sets its clock.

local packed = require "packed"
local os = require "os"

local now_s = 0
local time, date = os.time, os.date
os.time = function(t) return t == nil and now_s or time(t) end
os.date = function(form, seconds) return date(form, seconds or now_s) end

local globals = _G
local values, ids = {}, {}

local function refer(value, kind)
    if kind ~= "function" and kind ~= "userdata" then return nil end
    if not ids[value] then
        values[#values + 1] = value
        ids[value] = #values
    end
    return "r" .. ids[value] .. ";"
end

local function resolve(_, id) return values[id] end

local function answer(...) inject_payload("", "", packed.pack(refer, ...)) end

local requests = {
    get = function(name) return globals[name] end,
    call = function(fn, ...) return fn(...) end,
    method = function(object, name, ...) return object[name](object, ...) end,
    multiply = function(a, b) return a * b end,
}

local function serve(request)
    local count, list = packed.unpack(request, resolve)
    answer(pcall(requests[list[1]], unpack(list, 2, count)))
    return 0
end

local M = {}

function M.start(seconds) now_s = seconds end

--- A process_message() that answers requests of the test, and else does what the script's does.
function M.wrap(process_message)
    return function(request, seconds)
        now_s = seconds or now_s
        if request == "clock" then return 0 end
        if request and request ~= "" then return serve(request) end
        return process_message()
    end
end

return M
