-- The module `date_time` under the name that Heka's successor gave it.
return require "date_time"
