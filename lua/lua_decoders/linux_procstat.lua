-- Decodes /proc/stat, the kernel activity of a Linux system.
--
-- Configuration ([NAME.config]):
--   payload_keep  bool, false   keeps the text as Payload
--
--   [ProcStat]
--   type = "FilePollingInput"
--   ticker_interval = 1
--   file_path = "/proc/stat"
--   decoder = "ProcStatDecoder"
--
--   [ProcStatDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/linux_procstat.lua"
--
-- Message: Type "stats.procstat"; a DOUBLE field for each line with all its numbers: cpu, cpu0.., intr, ctxt, btime,
-- processes, procs_running, procs_blocked, softirq. Text of another form fails with status -1.

local l = require "lpeg"

local R, C, Cf, Cg, Ct = l.R, l.C, l.Cf, l.Cg, l.Ct
local read_message, inject_message, pcall = read_message, inject_message, pcall

local name = C((R("az", "09") + "_") ^ 1)
local numbers = Ct((l.P " " ^ 1 * (R "09" ^ 1 / tonumber)) ^ 1)
local line = Cg(name * numbers) * l.P " " ^ 0 * "\n"

local function set(fields, key, values)
    fields[key] = values
    return fields
end

local grammar = Cf(Ct "" * line ^ 1, set)

local payload_keep = read_config("payload_keep")

-- Every message goes out through this one table.
local msg = { Type = "stats.procstat", Payload = nil, Fields = nil }

function process_message()
    local payload = read_message("Payload")
    local fields = grammar:match(payload)
    if not fields then return -1 end

    if payload_keep then msg.Payload = payload end
    msg.Fields = fields
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
