-- Decodes /proc/loadavg, the load averages of a Linux system.
--
-- Configuration ([NAME.config]):
--   payload_keep  bool, false   keeps the text as Payload
--
--   [LoadAvg]
--   type = "FilePollingInput"
--   ticker_interval = 5
--   file_path = "/proc/loadavg"
--   decoder = "LoadAvgDecoder"
--
--   [LoadAvgDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/linux_loadavg.lua"
--
-- Message: Type "stats.loadavg"; the fields 1MinAvg, 5MinAvg, 15MinAvg, NumProcesses (runnable ones) as DOUBLE, and
-- FilePath if the input gave one. Text of another form fails with status -1.

local l = require "lpeg"

local R, Cg, Ct = l.R, l.Cg, l.Ct
local read_message, inject_message, pcall = read_message, inject_message, pcall

local digits = R "09" ^ 1
local double = digits * "." * digits / tonumber
local integer = digits / tonumber

local grammar = Ct(Cg(double, "1MinAvg") * " " * Cg(double, "5MinAvg") * " " * Cg(double, "15MinAvg") * " "
    * Cg(integer, "NumProcesses") * "/" * digits * " " * digits)

local payload_keep = read_config("payload_keep")

-- Every message goes out through this one table.
local msg = { Type = "stats.loadavg", Payload = nil, Fields = nil }

function process_message()
    local payload = read_message("Payload")
    local fields = grammar:match(payload)
    if not fields then return -1 end

    fields.FilePath = read_message("Fields[FilePath]")
    if payload_keep then msg.Payload = payload end
    msg.Fields = fields
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
