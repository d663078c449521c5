-- Puts parts of the current message into a text.
--
-- Configuration: none. Use:
--   local interpolate = require "msg_interpolate"
--   local text, count = interpolate.interpolate_from_msg("%{Logger}.%{status}-%{%Y.%m.%d}", secs)
--
-- %{X} becomes: the header X, one of Type Hostname Pid UUID Logger EnvVersion Severity; else the first value of the
-- field X; else the time in the strftime format X; else it stays as it is.

local os = require "os"
local string = require "string"

local read_message = read_message
local find, gsub = string.find, string.gsub
local date, tostring = os.date, tostring

local M = {}

local HEADERS = {
    Type = "Type", Hostname = "Hostname", Pid = "Pid", UUID = "Uuid", Logger = "Logger", EnvVersion = "EnvVersion",
    Severity = "Severity",
}

local seconds

local function replacement(name)
    local header = HEADERS[name]
    if header then return read_message(header) end
    local value = read_message("Fields[" .. name .. "]")
    if value ~= nil then return tostring(value) end
    if find(name, "%", 1, true) then return date(name, seconds) end
end

--- The text with every %{..} replaced, and how many there were. `secs` is the time for strftime formats, now if nil.
function M.interpolate_from_msg(text, secs)
    seconds = secs
    return gsub(text, "%%{(.-)}", replacement)
end

return M
