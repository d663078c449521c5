-- Decodes /proc/net/dev, the counters of the network interfaces of a Linux system.
--
-- Configuration: none (payload_keep is accepted and has no effect, as in Heka).
--
--   [NetDev]
--   type = "FilePollingInput"
--   ticker_interval = 5
--   file_path = "/proc/net/dev"
--   decoder = "NetDevDecoder"
--
--   [NetDevDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/linux_netdev.lua"
--
-- Messages, one for each interface: Type "stats.netdev"; the INTEGER fields receive_COLUMN and transmit_COLUMN
-- ("receive_bytes"), netdevice (the name), and FilePath if the input gave one. Text of another form fails with
-- "Failed to match grammar".

local l = require "lpeg"

local P, R, S, C, Cg, Ct = l.P, l.R, l.S, l.C, l.Cg, l.Ct
local read_message, inject_message, pcall = read_message, inject_message, pcall

local space = S " \t"
local word = C((1 - S " \t\n|:") ^ 1)
local words = Ct((space ^ 0 * word) ^ 1) * space ^ 0
local number = R "09" ^ 1 / tonumber

-- The heading names the columns: "face |bytes packets ..|bytes packets ..". An interface may be called anything
-- without white space, an alias has a colon in its name.
local title = (1 - P "\n") ^ 1 * "\n"
local heading = space ^ 0 * "face" * space ^ 0 * "|" * Cg(words, "receive") * "|" * Cg(words, "transmit") * "\n"
local device = C(((1 - S " \t\n:") + #(P ":" * (1 - S " \t\n:") ^ 1 * ":") * 1) ^ 1)
local line = Ct(space ^ 0 * Cg(device, "device") * ":" * (space ^ 0 * number) ^ 1 * space ^ 0) * "\n"
local grammar = Ct(title * heading * line ^ 0)

-- Every message goes out through this one table.
local msg = { Type = "stats.netdev", Fields = nil }

function process_message()
    local table_of_devices = grammar:match(read_message("Payload"))
    if not table_of_devices then return -1, "Failed to match grammar" end

    local file_path = read_message("Fields[FilePath]")
    local receive, transmit = table_of_devices.receive, table_of_devices.transmit
    local received = #receive
    for i = 1, #table_of_devices do
        local values = table_of_devices[i]
        local fields = { netdevice = values.device, FilePath = file_path }
        for k = 1, received do
            local value = values[k]
            if value then fields["receive_" .. receive[k]] = { value = value, value_type = 2 } end
        end
        for k = 1, #transmit do
            local value = values[received + k]
            if value then fields["transmit_" .. transmit[k]] = { value = value, value_type = 2 } end
        end
        msg.Fields = fields
        local good, err = pcall(inject_message, msg)
        if not good then return -1, err end
    end
    return 0
end
