r"""The scripts of the steps beside the network. Rules as in :mod:`p2vprep.firstboot.templates`."""

from __future__ import annotations

RESET_STEP = r"""@echo off
rem Resets TCP/IP, Winsock or both (RESET). It counts after a restart; adapters are configured then.
setlocal EnableExtensions DisableDelayedExpansion
set DONE=no
@RESET@
if %DONE%==yes exit 3012
exit 1

:told
set RC=%ERRORLEVEL%
if %RC%==0 set DONE=yes
>>"%OUT%" echo reset %1 %RC%
goto :eof
"""

TUNE_STEP = r"""@echo off
rem Settings of TCP/IP that have no offline form. What the numbers mean stands in the data folder.
setlocal EnableExtensions DisableDelayedExpansion
set BAD=0
@TUNE@
exit %BAD%

:told
set RC=%ERRORLEVEL%
if not %RC%==0 set BAD=1
if %RC%==0 >>"%OUT%" echo tune ok %1
if not %RC%==0 >>"%OUT%" echo tune failed %1 %RC%
goto :eof
"""

DISKS_STEP = r"""@echo off
rem Brings disks online and makes them writable, with diskpart, one disk after the other.
setlocal EnableExtensions DisableDelayedExpansion
set "LOOK=%P2V%\work\150-disks"
rem The disks of a cluster are the cluster's: there, who may use them is not decided here.
set "CLUSTER="
%REG% query HKLM\SYSTEM\CurrentControlSet\Services\ClusSvc /v Start >"%LOOK%.clu" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.clu") do if /i "%%A"=="Start" set "CLUSTER=%%C"
if not defined CLUSTER goto policy
if not "%CLUSTER%"=="0x4" goto cluster
:policy
>"%LOOK%.dp" echo san policy=OnlineAll noerr
>>"%LOOK%.dp" echo rescan
>>"%LOOK%.dp" echo list disk
set LISTED=no
%DISKPART% /s "%LOOK%.dp" >"%LOOK%.out" 2>&1 <nul
if not errorlevel 1 set LISTED=yes
>>"%OUT%" echo disks listed %LISTED%
if %LISTED%==no exit 1
set BAD=0
set FOUND=0
rem A line of the table: the word for "disk", its number, its state; the words are translated.
for /f "usebackq tokens=1,2" %%A in ("%LOOK%.out") do (
  set "P2VNUM=%%B"
  call :line
)
>>"%OUT%" echo disks found %FOUND%
if %FOUND%==0 exit 1
exit %BAD%
:cluster
>>"%OUT%" echo disks cluster
exit 0

:line
if not defined P2VNUM goto :eof
set SAFE=yes
>"%LOOK%.num" set P2VNUM
for /f "usebackq delims=P2VNUM=013456789" %%X in ("%LOOK%.num") do set SAFE=no
if %SAFE%==no goto :eof
for /f "delims=0123456789" %%X in ("%P2VNUM%") do set SAFE=no
if %SAFE%==no goto :eof
set /a FOUND+=1
>"%LOOK%.dp" echo select disk %P2VNUM%
>>"%LOOK%.dp" echo attributes disk clear readonly noerr
>>"%LOOK%.dp" echo online disk noerr
>>"%LOOK%.dp" echo attributes disk clear readonly noerr
%DISKPART% /s "%LOOK%.dp" >>"%LOOK%.log" 2>&1 <nul
set RC=%ERRORLEVEL%
if not %RC%==0 set BAD=1
if %RC%==0 >>"%OUT%" echo disk %P2VNUM% online
if not %RC%==0 >>"%OUT%" echo disk %P2VNUM% failed %RC%
goto :eof
"""

DISKS_BEFORE_VISTA = r"""@echo off
rem This Windows has no policy that keeps disks offline: there is nothing to do.
>>"%OUT%" echo disks not-needed
exit 0
"""

DEVICES_STEP = r"""@echo off
rem Removes devices that are gone through Plug and Play. 700-devices.txt: number, "plain", device instance.
rem MEANS: whether this Windows has a command for it (pnputil /remove-device, from Windows 10 2004 on).
setlocal EnableExtensions DisableDelayedExpansion
set MEANS=@MEANS@
set BAD=0
set RESTART=no
for /f "usebackq tokens=1,2*" %%A in ("%P2V%\data\700-devices.txt") do (
  set "P2VDEV=%%C"
  call :one %%A %%B
)
if %BAD%==1 exit 1
if %RESTART%==yes exit 3010
exit 0

:one
if not "%2"=="plain" goto nomeans
%REG% query "HKLM\SYSTEM\CurrentControlSet\Enum\%P2VDEV%" >nul 2>&1
if errorlevel 1 goto gone
%REG% query "HKLM\SYSTEM\CurrentControlSet\Enum\%P2VDEV%\Control" >nul 2>&1
if not errorlevel 1 goto present
if %MEANS%==no goto nomeans
%PNPUTIL% /remove-device "%P2VDEV%" >>"%P2V%\work\700-devices.out" 2>&1 <nul
set RC=%ERRORLEVEL%
if %RC%==3010 set RESTART=yes
%REG% query "HKLM\SYSTEM\CurrentControlSet\Enum\%P2VDEV%" >nul 2>&1
if errorlevel 1 goto removed
if %RC%==3010 goto removed
set BAD=1
>>"%OUT%" echo device failed %1 %RC%
goto :eof
:removed
>>"%OUT%" echo device removed %1 %RC%
goto :eof
:gone
>>"%OUT%" echo device gone %1 -
goto :eof
:present
rem It is there: whoever planned this took it for gone. It stays.
set BAD=1
>>"%OUT%" echo device present %1 -
goto :eof
:nomeans
>>"%OUT%" echo device no-means %1 -
goto :eof
"""

COMMAND = r"""@echo off
rem Runs one command of a step under a time limit. 1: the step, 2: its number, 3: seconds.
rem Known: GOOD and REBOOT, lists of exit codes. A command that was done in an earlier boot is left out.
set "PART=%1.%2"
%REG% query "%KEY%" /v %PART% >nul 2>&1
if not errorlevel 1 goto before
set "MYOUT=%OUT%"
del /q "%P2V%\results\%PART%.part" "%P2V%\results\%PART%.txt" >nul 2>&1
if %WAITS%==no %SHELL% %P2V%\firstboot.cmd step %PART%
if %WAITS%==yes start "" /min %SHELL% %P2V%\firstboot.cmd step %PART%
set WAITED=0
:wait
if exist "%P2V%\results\%PART%.txt" goto over
if %WAITS%==no goto late
if %WAITED% GEQ %3 goto late
%PING% -n 2 127.0.0.1 >nul 2>&1
set /a WAITED+=1
goto wait
:late
set BAD=1
>>"%OUT%" echo command late %2 -
goto :eof
:over
set CODE=unknown
for /f "usebackq tokens=1,2" %%A in ("%P2V%\results\%PART%.txt") do if "%%A"=="exit" set CODE=%%B
set TOLD=failed
for %%C in (%GOOD%) do if "%CODE%"=="%%C" set TOLD=ok
for %%C in (%REBOOT%) do if "%CODE%"=="%%C" set TOLD=restart
if %TOLD%==failed set BAD=1
if %TOLD%==restart set RESTART=yes
>>"%OUT%" echo command %TOLD% %2 %CODE%
if not %TOLD%==failed %REG% add "%KEY%" /v %PART% /t REG_SZ /d %TOLD% /f >nul 2>&1
goto :eof
:before
>>"%OUT%" echo command ok %2 before
goto :eof
"""

COM1 = r"""@echo off
rem Tells the result on the first serial port. In a process of its own: a port may block for ever.
>COM1 echo p2vprep first-boot %1 boots=%2
exit 0
"""
