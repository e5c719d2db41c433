r"""The scripts that find an adapter, configure it and read back. Rules as in :mod:`.templates`.

More rules here, since these scripts handle names that others chose (a connection's name may hold any
sign, and network operators may change it):

- Such a name is put into a variable by ``for`` only, written to a file by ``set``, and comes back from
  that file as a ``for`` variable: cmd expands these after it has taken the line apart.
- GUIDs and device instances are looked at letter by letter before they are used like other variables.
- What other programs print goes into a file, not through ``for /f ('…')``, which would start a shell
  with whatever AutoRun says. No column of it is found by a word that Windows translates.
- Nested loops stand in subroutines.
"""

from __future__ import annotations

# ruff: noqa: E501 - a line of cmd cannot be broken

FIND = r"""@echo off
rem Finds one network adapter. Asked by WANTMAC (twelve hex digits; WANTDASH and WANTCOLON the same with
rem signs between), WANTONLY, WANTORDER (from 0) and WANTCOUNT (that many have to be there), WANTLEAST.
rem Answers with FOUND (how), GUID, P2VINST, P2VDRV, P2VNAME; or with an empty FOUND and WHY.
set "CCS=HKLM\SYSTEM\CurrentControlSet"
set "NETCLASS={4D36E972-E325-11CE-BFC1-08002BE10318}"
set "NETKEY=%CCS%\Control\Network\%NETCLASS%"
set "NICS={ad498944-762f-11d0-8dcb-00c04fc3358c}"
set "LOOK=%P2V%\work\%STEP%"
set "FOUND="
set "GUID="
set WHY=not-found
set POLL=0
set BEFORE=-1
set STABLE=0
rem Windows installs drivers while this runs: 60 looks, 5 seconds apart, for the first adapter that is missing.
set MOST=60
if exist "%P2V%\work\waited.tmp" set MOST=8

:poll
call :list
if %COUNT%==%BEFORE% set /a STABLE+=1
if not %COUNT%==%BEFORE% set STABLE=0
set BEFORE=%COUNT%
call :choose
if defined FOUND goto claim
set /a POLL+=1
if %POLL% GEQ %MOST% goto tired
%PING% -n 6 127.0.0.1 >nul 2>&1
if errorlevel 1 goto tired
goto poll

:tired
>"%P2V%\work\waited.tmp" echo %STEP%
goto :eof

:claim
rem No two steps may take the same adapter.
if not exist "%P2V%\work\%GUID%.claim" >"%P2V%\work\%GUID%.claim" echo %STEP%
set "OWNER="
for /f "usebackq" %%A in ("%P2V%\work\%GUID%.claim") do set "OWNER=%%A"
if "%OWNER%"=="%STEP%" goto details
set "FOUND="
set WHY=taken
goto :eof

:details
set "P2VG=%GUID%"
call :one
set "P2VNAME="
%REG% query "%NETKEY%\%GUID%\Connection" >"%LOOK%.one" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.one") do if /i "%%A"=="Name" set "P2VNAME=%%C"
goto :eof

rem --- which adapters are there ---
:list
set COUNT=0
set SHOWN=0
>"%LOOK%.all" echo rem
>"%LOOK%.mac" echo rem
%REG% query "%NETKEY%" >"%LOOK%.net" 2>nul
for /f "usebackq tokens=7 delims=\" %%G in ("%LOOK%.net") do (
  set "P2VG=%%G"
  call :each
)
if defined WANTMAC %GETMAC% /fo csv /nh >"%LOOK%.mac" 2>nul <nul
goto :eof

:each
call :one
if %READY%==no goto :eof
call :place
set /a COUNT+=1
set /a SHOWN=1000+COUNT
>>"%LOOK%.all" echo %PLACE%-%SHOWN% %P2VG%
goto :eof

rem Is P2VG the adapter of a device that is there, and does IP know it?
:one
set READY=no
set SAFE=yes
>"%LOOK%.one" set P2VG
for /f "usebackq delims=0123456789abcdefABCDEF-{}=PVG" %%X in ("%LOOK%.one") do set SAFE=no
if %SAFE%==no goto :eof
if not "%P2VG:~0,1%%P2VG:~37%"=="{}" goto :eof
set "P2VINST="
%REG% query "%NETKEY%\%P2VG%\Connection" >"%LOOK%.one" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.one") do if /i "%%A"=="PnpInstanceID" set "P2VINST=%%C"
if not defined P2VINST goto :eof
call :plain P2VINST
if %SAFE%==no goto :eof
rem Software devices (miniports, loopback, switches, teams) are not what a network cable is plugged into.
set "BUS="
for /f "tokens=1 delims=\" %%B in ("%P2VINST%") do set "BUS=%%B"
if "%BUS:~0,1%"=="{" goto :eof
for %%B in (ROOT SWD SW BTH COMPOSITEBUS HTREE UMB) do if /i "%BUS%"=="%%B" set SAFE=no
if %SAFE%==no goto :eof
rem The keys named Control are made by Windows while the device is there, and never kept on the disk.
set "LINK=##?#%P2VINST:\=#%#%NICS%"
set HERE=no
%REG% query "%CCS%\Enum\%P2VINST%\Control" >nul 2>&1
if not errorlevel 1 set HERE=yes
if %HERE%==no %REG% query "%CCS%\Control\DeviceClasses\%NICS%\%LINK%\#%P2VG%\Control" >nul 2>&1
if %HERE%==no if not errorlevel 1 set HERE=yes
if %HERE%==no goto :eof
rem The device's own driver key must name this adapter.
set "P2VDRV="
%REG% query "%CCS%\Enum\%P2VINST%" /v Driver >"%LOOK%.one" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.one") do if /i "%%A"=="Driver" set "P2VDRV=%%C"
if not defined P2VDRV goto :eof
call :plain P2VDRV
if %SAFE%==no goto :eof
set SAFE=no
%REG% query "%CCS%\Control\Class\%P2VDRV%" /v NetCfgInstanceId >"%LOOK%.one" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.one") do if /i "%%C"=="%P2VG%" set SAFE=yes
if %SAFE%==no goto :eof
%REG% query "%CCS%\Services\Tcpip\Parameters\Interfaces\%P2VG%" >nul 2>&1
if not errorlevel 1 set READY=yes
goto :eof

rem Does the variable hold nothing but letters, digits and signs that are harmless between quotes?
:plain
set SAFE=yes
>"%LOOK%.one" set %1
for /f "usebackq delims=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789\{}&_.()#@$+,;~-=" %%X in ("%LOOK%.one") do set SAFE=no
goto :eof

rem The place on the bus: "(0,3,0)" behind two semicolons, or "PCI bus 0, device 3, function 0" on 2003.
:place
set PLACE=999-999-999
set "LOCATEDAT="
set "POSITION="
%REG% query "%CCS%\Enum\%P2VINST%" /v LocationInformation >"%LOOK%.one" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.one") do if /i "%%A"=="LocationInformation" set "LOCATEDAT=%%C"
if not defined LOCATEDAT goto :eof
>"%LOOK%.one" set LOCATEDAT
for /f "usebackq tokens=3 delims=;" %%P in ("%LOOK%.one") do set "POSITION=%%P"
if defined POSITION >"%LOOK%.one" set POSITION
set "P2VPA="
for /f "usebackq tokens=1-3 delims=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ=(,) " %%A in ("%LOOK%.one") do (
  set "P2VPA=%%A"
  set "P2VPB=%%B"
  set "P2VPC=%%C"
)
if not defined P2VPA goto :eof
>"%LOOK%.one" echo rem
>>"%LOOK%.one" set P2VPA
>>"%LOOK%.one" set P2VPB
>>"%LOOK%.one" set P2VPC
set SAFE=yes
for /f "usebackq skip=1 delims=P2VABC=013456789" %%X in ("%LOOK%.one") do set SAFE=no
if %SAFE%==no goto :eof
set "P2VPA=00%P2VPA%"
set "P2VPB=00%P2VPB%"
set "P2VPC=00%P2VPC%"
set "PLACE=%P2VPA:~-3%-%P2VPB:~-3%-%P2VPC:~-3%"
goto :eof

rem --- which one is meant ---
:choose
set "PICK="
if not defined WANTMAC goto order
for /f "usebackq tokens=1,2" %%A in ("%LOOK%.all") do call :bymac %%B
if defined PICK goto bymacfound
rem The last way to learn addresses; it is slow and not everywhere.
if not %POLL%==2 if not %POLL%==20 goto nomac
if not exist "%WMIC%" goto nomac
"%WMIC%" nicconfig where "MACAddress is not null" get MACAddress,SettingID >"%LOOK%.wmi" 2>nul <nul
type "%LOOK%.wmi" >"%LOOK%.mac" 2>nul
for /f "usebackq tokens=1,2" %%A in ("%LOOK%.all") do call :bywmi %%B
if defined PICK goto bymacfound
:nomac
if not defined WANTORDER goto :eof
rem Its address was not seen: by order, but only after half a minute.
if %POLL% LSS 6 goto :eof
goto order
:bymacfound
set FOUND=mac
set "GUID=%PICK%"
goto :eof

:order
if %STABLE% LSS 2 goto :eof
if %COUNT%==0 goto :eof
if %COUNT% LSS %WANTLEAST% if %POLL% LSS 24 goto :eof
if not defined WANTONLY goto nth
set WHY=several
if not %COUNT%==1 goto :eof
set WANTORDER=0
set HOW=only
goto pick
:nth
set HOW=order
set WHY=count
if defined WANTCOUNT if not %COUNT%==%WANTCOUNT% goto :eof
set WHY=too-few
if %COUNT% LEQ %WANTORDER% goto :eof
:pick
for /f "usebackq tokens=1,2" %%A in ("%LOOK%.all") do call :rank %%A %%B
if not defined PICK goto :eof
set FOUND=%HOW%
set "GUID=%PICK%"
goto :eof

:rank
if "%2"=="" goto :eof
set RANK=0
for /f "usebackq tokens=1,2" %%A in ("%LOOK%.all") do if not "%%B"=="" if "%%A" LSS "%1" set /a RANK+=1
if %RANK%==%WANTORDER% set "PICK=%2"
goto :eof

:bymac
if "%1"=="" goto :eof
%REG% query "%CCS%\Control\NetworkSetup2\Interfaces\%1\Kernel" >"%LOOK%.one" 2>nul
for /f "usebackq tokens=1,2*" %%A in ("%LOOK%.one") do if /i "%%C"=="%WANTMAC%" set "PICK=%1"
for /f "usebackq tokens=1,2 delims=," %%A in ("%LOOK%.mac") do if /i "%%~A"=="%WANTDASH%" if /i "%%~B"=="\Device\Tcpip_%1" set "PICK=%1"
goto :eof

:bywmi
if "%1"=="" goto :eof
for /f "usebackq tokens=1,2" %%A in ("%LOOK%.mac") do if /i "%%A"=="%WANTCOLON%" if /i "%%B"=="%1" set "PICK=%1"
goto :eof
"""

TAKEOVER = r"""@echo off
rem The new adapter becomes the old interface. 1: the old GUID, 2: the old driver key.
rem The old bindings are copied, the driver key gets the old GUID, the old connection points to the new
rem device. It counts after a restart. What was before is kept below p2vprep\Takeover.
set "SAVED=HKLM\SYSTEM\p2vprep\Takeover\%~1"
set "CLASS=%CCS%\Control\Class"
%REG% query "%CLASS%\%~2\Linkage" >nul 2>&1
if errorlevel 1 goto nothing
%REG% query "%NETKEY%\%~1\Connection" >nul 2>&1
if errorlevel 1 goto nothing
%REG% add "%SAVED%" /v New /t REG_SZ /d "%GUID%" /f >nul 2>&1
if errorlevel 1 goto nothing
%REG% add "%SAVED%" /v Driver /t REG_SZ /d "%P2VDRV%" /f >nul 2>&1
%REG% copy "%CLASS%\%P2VDRV%\Linkage" "%SAVED%\Linkage" /s /f >nul 2>&1
if errorlevel 1 goto nothing
%REG% copy "%NETKEY%\%~1\Connection" "%SAVED%\Connection" /s /f >nul 2>&1
if errorlevel 1 goto nothing
%REG% copy "%CLASS%\%~2\Linkage" "%CLASS%\%P2VDRV%\Linkage" /s /f >nul 2>&1
if errorlevel 1 goto back
%REG% add "%NETKEY%\%~1\Connection" /v PnpInstanceID /t REG_SZ /d "%P2VINST%" /f >nul 2>&1
if errorlevel 1 goto back
%REG% add "%CLASS%\%P2VDRV%" /v NetCfgInstanceId /t REG_SZ /d "%~1" /f >nul 2>&1
if errorlevel 1 goto back
>>"%OUT%" echo takeover prepared
exit /b 0
:back
%REG% copy "%SAVED%\Linkage" "%CLASS%\%P2VDRV%\Linkage" /s /f >nul 2>&1
%REG% copy "%SAVED%\Connection" "%NETKEY%\%~1\Connection" /s /f >nul 2>&1
%REG% add "%CLASS%\%P2VDRV%" /v NetCfgInstanceId /t REG_SZ /d "%GUID%" /f >nul 2>&1
:nothing
>>"%OUT%" echo takeover failed
exit /b 1
"""
