-- Records what Lua 5.1 makes of chunks: `lua5.1 testdata/record.lua testdata/string.txt`, from the crate's folder.
-- The file has a chunk a line, and below each `=> ` with what it returned or raised.

local PREFIX = "=> "

local function shown(text)
  return (text:gsub("[^ -~]", function(byte)
    if byte == "\n" then return "\\n" end
    if byte == "\t" then return "\\t" end
    return ("\\x%02x"):format(byte:byte())
  end))
end

local function list(...)
  local out = ""
  for index = 1, select("#", ...) do
    local value = select(index, ...)
    value = type(value) == "string" and "[" .. value .. "]" or tostring(value)
    out = out .. (index > 1 and " " or "") .. value
  end
  return out
end

local function result(chunk)
  local loaded, text = loadstring("return pcall(function() " .. chunk .. " end)", "@f.lua")
  if not loaded then return "syntax: " .. text end
  return shown(list(loaded()))
end

local path = assert(arg[1], "which file?")
local lines = {}
for line in io.lines(path) do
  if line:sub(1, #PREFIX) ~= PREFIX then
    lines[#lines + 1] = line
    if line ~= "" and line:sub(1, 2) ~= "--" then lines[#lines + 1] = PREFIX .. result(line) end
  end
end
local file = assert(io.open(path, "w"))
file:write(table.concat(lines, "\n"), "\n")
file:close()
